"""Held-out perplexity and use of the experts, for a checkpoint or a GGUF file."""

from __future__ import annotations

import argparse
import json
import math
import random
from pathlib import Path

import torch
from tokenizers import Tokenizer

from data import chat_text
from chats import FACTS, SMALL_TALK, hard, story_turn
from loading import load
from model import Model
from stories import tell
from train import in_batches, losses

SEED = 7


def held_out_documents(kind: str, count: int) -> list[str]:
    """Documents of one kind; stories are about pairs of character and object that training never saw."""
    rng = random.Random(f"{SEED}/{kind}")
    if kind == "stories":
        return [tell(rng, evaluation=True).text for _ in range(count)]
    if kind == "asked stories":
        return [chat_text([story_turn(rng, True)[0]]) for _ in range(count)]
    return [chat_text([rng.choice(FACTS + SMALL_TALK + (hard,))(rng)]) for _ in range(count)]


def expert_use(counts: torch.Tensor) -> list[dict[str, float]]:
    """For each layer: entropy of the load (1: even), smallest and largest load over the mean, unused experts."""
    report = []
    for row in counts.double():
        share = row / row.sum()
        entropy = -(share * share.clamp(min=1e-12).log()).sum().item() / math.log(len(row))
        report.append({
            "entropy": round(entropy, 4), "least": round((row.min() / row.mean()).item(), 3),
            "most": round((row.max() / row.mean()).item(), 3), "unused": int((row == 0).sum()),
        })
    return report


@torch.no_grad()
def evaluate(model: Model, tokenizer: Tokenizer, count: int) -> dict[str, object]:
    """Losses, perplexities and use of the experts."""
    report: dict[str, object] = {}
    used = torch.zeros(model.config.layers, model.config.experts)
    for kind in ("stories", "asked stories", "short answers"):
        total, known = 0.0, 0
        for batch in in_batches(tokenizer, held_out_documents(kind, count), model.config.context):
            entropy, _, _, counts = losses(model, batch)
            total += entropy.item() * batch.known()
            known += batch.known()
            used += counts
        loss = total / known
        report[kind] = {"loss": round(loss, 4), "perplexity": round(math.exp(loss), 3), "tokens": known}
    report["experts by layer"] = expert_use(used)
    return report


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, nargs="+", help="checkpoint.pt or a .gguf")
    parser.add_argument("--count", type=int, default=150, help="documents of each kind")
    parser.add_argument("--out", type=Path, help="write the report as JSON")
    args = parser.parse_args()
    reports = {path.name: evaluate(*load(path), args.count) for path in args.model}
    text = json.dumps(reports, indent=2)
    print(text)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
