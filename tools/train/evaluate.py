"""Held-out perplexity and routing, for checkpoints or GGUF files.

``--text FILE`` measures a plain text instead, by the rule of the command ``sluice perplexity MODEL --text FILE``: the
file is one text, tokenised as it is with no token added; it is cut into windows of 512 tokens that do not overlap, each
in a context of its own; the first token of each window is not scored; the result is the mean over all scored tokens.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from held_out import KINDS, held_out_documents, in_order
from loading import load
from model import Model
from routing import markdown, routing_report
from train import cross_entropy, in_batches

WINDOW = 512
ROUTING_TEXTS = 40


def figures(nats: float, tokens: int) -> dict[str, float]:
    """The mean loss and its perplexity."""
    loss = nats / tokens
    return {"loss": round(loss, 5), "perplexity": round(math.exp(loss), 4), "tokens": tokens}


@torch.no_grad()
def evaluate(model: Model, tokenizer: Tokenizer, count: int, kinds: tuple[str, ...] = KINDS) -> dict[str, object]:
    """Losses and perplexities on held-out documents, and the routing of 2,000 tokens of them in order."""
    report: dict[str, object] = {}
    for kind in kinds:
        total, known = 0.0, 0
        for batch in in_batches(tokenizer, held_out_documents(kind, count), model.config.context):
            total += cross_entropy(model(batch.inputs), batch).item() * batch.known()
            known += batch.known()
        report[kind] = figures(total, known)
    report["routing"] = routing_report(model, tokenizer, in_order(ROUTING_TEXTS))
    return report


@torch.no_grad()
def text_perplexity(model: Model, tokenizer: Tokenizer, text: str) -> dict[str, float]:
    """The loss on a plain text, by the rule above."""
    ids = tokenizer.encode(text).ids
    total, scored = 0.0, 0
    for start in range(0, len(ids), WINDOW):
        window = torch.tensor([ids[start : start + WINDOW]])
        if window.shape[1] < 2:
            continue
        logits = model(window[:, :-1]).logits[0]
        total += F.cross_entropy(logits.double(), window[0, 1:], reduction="sum").item()
        scored += window.shape[1] - 1
    return figures(total, scored) | {"textTokens": len(ids)}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="+", help="checkpoint.pt or a .gguf")
    parser.add_argument("--count", type=int, default=150, help="documents of each kind")
    parser.add_argument("--text", type=Path, help="measure this plain text instead")
    parser.add_argument("--table", action="store_true", help="print the routing as Markdown tables, too")
    parser.add_argument("--out", type=Path, help="write the report as JSON")
    args = parser.parse_args()
    reports = {}
    for path in args.model:
        model, tokenizer = load(path)
        name = f"{path.parent.name}/{path.name}"
        if args.text:
            reports[name] = text_perplexity(model, tokenizer, args.text.read_text(encoding="utf-8"))
        else:
            reports[name] = evaluate(model, tokenizer, args.count)
        if args.table and not args.text:
            print(f"{name}\n\n{markdown(reports[name]['routing'])}\n")
    text = json.dumps(reports, indent=2)
    print(text)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
