"""Everything in one command: train (or resume), write the GGUF files, evaluate them, sample, ship the best."""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import replace
from pathlib import Path

import torch
from gguf import GGMLQuantizationType as Type

from config import PRESETS, ROUTER_INPUTS, Preset, sibling
from evaluate import evaluate, text_perplexity
from export import Precision, export
from held_out import plain_text
from loading import load
from sample import REQUESTS, ask
from train import train

HERE = Path(__file__).parent
VARIANTS = {
    "f32": Precision.of(Type.F32),
    "q8_0": Precision.of(Type.Q8_0),
    "q8_0-down": Precision.of(Type.Q8_0, Type.Q4_0, Type.Q8_0),
    "q4_0-experts": Precision.of(Type.Q8_0, Type.Q4_0),
}
LARGEST_FILE = 16_000_000
# A larger file must be better by this part of its loss to be worth its bytes.
WORTH = 0.001
DOCUMENTS = 150


def samples(path: Path) -> str:
    """Answers at temperature 0.7, as they come."""
    model, tokenizer = load(path)
    return "\n".join(f"> {r}\n\n{ask(model, tokenizer, r, 0.7, seed)}\n" for seed, r in enumerate(REQUESTS))


def measure(path: Path) -> dict[str, object]:
    """Size, losses and routing of a file."""
    model, tokenizer = load(path)
    text = text_perplexity(model, tokenizer, plain_text())
    return {"bytes": path.stat().st_size} | evaluate(model, tokenizer, DOCUMENTS) | {"plain text": text}


def mean_loss(report: dict) -> float:
    """Over all held-out tokens."""
    parts = [p for p in report.values() if isinstance(p, dict) and "loss" in p]
    return sum(p["loss"] * p["tokens"] for p in parts) / sum(p["tokens"] for p in parts)


def choose(reports: dict[str, dict]) -> str:
    """The file to ship: small enough, of the least loss, or the smallest of those that come near."""
    fit = {name: r for name, r in reports.items() if r["bytes"] <= LARGEST_FILE}
    best = min(map(mean_loss, fit.values()))
    near = [name for name, r in fit.items() if mean_loss(r) <= best * (1 + WORTH)]
    return min(near, key=lambda name: fit[name]["bytes"])


def finish(preset: Preset, folder: Path, logs: Path, ship: Path | None) -> None:
    """Files, evaluation, samples."""
    reports = {}
    for name, precision in VARIANTS.items():
        path = folder / f"sluice-{preset.name}-{name}.gguf"
        export(folder / "checkpoint.pt", path, precision)
        reports[name] = measure(path)
    chosen = choose(reports)
    print(f"to ship: {chosen}", {name: round(mean_loss(report), 5) for name, report in reports.items()})
    file = folder / f"sluice-{preset.name}-{chosen}.gguf"
    logs.mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / "loss.csv", logs / f"{preset.name}-loss.csv")
    report = {"shipped": chosen, "files": reports}
    (logs / f"{preset.name}-evaluation.json").write_text(json.dumps(report, indent=2) + "\n")
    if ship:
        shutil.copy(file, ship)
    (logs / f"{preset.name}-samples.txt").write_text(samples(file))


def finish_sibling(preset: Preset, folder: Path, logs: Path, ship: Path | None, parent: Path) -> None:
    """The file with Q4_0 experts, and its losses beside the parent's in one log for all siblings."""
    path = folder / f"sluice-{preset.name}.gguf"
    export(folder / "checkpoint.pt", path, VARIANTS["q4_0-experts"])
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / "siblings-evaluation.json"
    reports = json.loads(log.read_text()) if log.exists() else {}
    if "parent" not in reports:
        reports["parent"] = measure(parent)
    reports[preset.model.router_input] = measure(path)
    log.write_text(json.dumps(reports, indent=2) + "\n")
    shutil.copy(folder / "loss.csv", logs / f"{preset.name}-loss.csv")
    if ship:
        ship.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, ship)


def arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="full")
    parser.add_argument("--sibling", choices=ROUTER_INPUTS[1:], help="train a sibling of --parent")
    parser.add_argument("--parent", type=Path, default=HERE / "../../test/models/sluice-tiny.gguf", help="a .gguf or checkpoint.pt")
    parser.add_argument("--runs", type=Path, default=HERE / "runs")
    parser.add_argument("--logs", type=Path, default=HERE / "logs")
    parser.add_argument("--tokens", type=int, help="train on this many tokens in all")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (0: all)")
    parser.add_argument("--ship", type=Path, help="copy the chosen file here")
    return parser.parse_args()


def main() -> None:
    """Command line."""
    args = arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    preset = sibling(args.sibling) if args.sibling else PRESETS[args.preset]
    if args.tokens:
        preset = replace(preset, train=replace(preset.train, tokens=args.tokens))
    folder = args.runs / preset.name
    if args.sibling:
        train(preset, folder, args.parent)
        finish_sibling(preset, folder, args.logs, args.ship, args.parent)
    else:
        train(preset, folder)
        finish(preset, folder, args.logs, args.ship)


if __name__ == "__main__":
    main()
