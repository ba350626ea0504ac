"""Everything in one command: train (or resume), write the GGUF files, evaluate them, sample."""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import replace
from pathlib import Path

import torch
from gguf import GGMLQuantizationType as Type

from config import PRESETS
from evaluate import evaluate
from export import export
from loading import load
from sample import REQUESTS, ask
from train import train

HERE = Path(__file__).parent
VARIANTS = {"f32": (Type.F32, Type.F32), "q8_0": (Type.Q8_0, Type.Q8_0), "q4_0-experts": (Type.Q8_0, Type.Q4_0)}


def samples(path: Path) -> str:
    """Answers at temperature 0.7, as they come."""
    model, tokenizer = load(path)
    return "\n".join(f"> {r}\n\n{ask(model, tokenizer, r, 0.7, seed)}\n" for seed, r in enumerate(REQUESTS))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="full")
    parser.add_argument("--runs", type=Path, default=HERE / "runs")
    parser.add_argument("--logs", type=Path, default=HERE / "logs")
    parser.add_argument("--tokens", type=int, help="train on this many tokens in all")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (0: all)")
    parser.add_argument("--ship", type=Path, help="copy the Q8_0 file here")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    preset = PRESETS[args.preset]
    if args.tokens:
        preset = replace(preset, train=replace(preset.train, tokens=args.tokens))
    folder = args.runs / preset.name
    train(preset, folder)
    reports = {}
    for name, (main_type, expert_type) in VARIANTS.items():
        path = folder / f"sluice-{preset.name}-{name}.gguf"
        export(folder / "checkpoint.pt", path, main_type, expert_type)
        reports[name] = {"bytes": path.stat().st_size} | evaluate(*load(path), count=150)
    args.logs.mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / "loss.csv", args.logs / f"{preset.name}-loss.csv")
    (args.logs / f"{preset.name}-evaluation.json").write_text(json.dumps(reports, indent=2) + "\n")
    (args.logs / f"{preset.name}-samples.txt").write_text(samples(folder / f"sluice-{preset.name}-q8_0.gguf"))
    if args.ship:
        shutil.copy(folder / f"sluice-{preset.name}-q8_0.gguf", args.ship)


if __name__ == "__main__":
    main()
