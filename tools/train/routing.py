"""What a trained router does: balance, reuse, and what an expert cache would make of it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import torch
from tokenizers import Tokenizer

from model import Model

TOKENS = 2000
SHARES = (0.25, 0.5)
# The experts of each token of one layer, in the router's order.
Choices = list[list[int]]


@torch.no_grad()
def trace(model: Model, tokenizer: Tokenizer, texts: list[str], count: int = TOKENS) -> list[Choices]:
    """The choices of each layer for the first ``count`` tokens of the texts, each text in a context of its own."""
    chosen: list[Choices] = [[] for _ in model.layers]
    handles = [
        layer.experts.register_forward_pre_hook(
            lambda experts, inputs, kept=kept: kept.extend(experts.route(inputs[1])[1].tolist())
        )
        for layer, kept in zip(model.layers, chosen, strict=True)
    ]
    for text in texts:
        if len(chosen[0]) >= count:
            break
        model(torch.tensor([tokenizer.encode(text).ids[: model.config.context]]))
    for handle in handles:
        handle.remove()
    if len(chosen[0]) < count:
        raise ValueError(f"the texts have {len(chosen[0])} tokens; {count} are wanted")
    return [kept[:count] for kept in chosen]


def uniform(experts: int, used: int, count: int, seed: int = 1) -> Choices:
    """Choices at random: the floor to compare with."""
    rng = random.Random(seed)
    return [rng.sample(range(experts), used) for _ in range(count)]


def serve(choices: Choices, slots: int, victim: Callable[[int, set[int], list[int]], int]) -> float:
    """The hit rate of a cache that starts empty; it never gives up what the token at hand uses.

    ``victim`` picks one of some resident experts at a token; it gets the times of last use, too.
    """
    resident: set[int] = set()
    last = [-1] * (1 + max(max(c) for c in choices))
    hits = 0
    for time, wanted in enumerate(choices):
        hits += sum(expert in resident for expert in wanted)
        for expert in wanted:
            if expert not in resident and len(resident) >= slots:
                resident.remove(victim(time, resident.difference(wanted), last))
            resident.add(expert)
        for expert in wanted:
            last[expert] = time
    return hits / (len(choices) * len(choices[0]))


def lru(choices: Choices, slots: int) -> float:
    """The hit rate when the least recently used goes; ties go to the lower index."""
    return serve(choices, slots, lambda _, free, last: min(free, key=lambda e: (last[e], e)))


def belady(choices: Choices, slots: int) -> float:
    """The hit rate when the one whose next use is farthest goes: no policy can hit more."""
    uses: dict[int, list[int]] = {}
    for time in range(len(choices) - 1, -1, -1):
        for expert in choices[time]:
            uses.setdefault(expert, []).append(time)

    def next_use(expert: int, time: int) -> float:
        times = uses[expert]
        while times and times[-1] <= time:
            times.pop()
        return times[-1] if times else math.inf

    return serve(choices, slots, lambda time, free, _: max(free, key=lambda e: (next_use(e, time), -e)))


def describe(choices: Choices, experts: int) -> dict[str, float]:
    """The numbers of one layer."""
    used = len(choices[0])
    counts = torch.bincount(torch.tensor(choices).flatten(), minlength=experts).double()
    share = counts / counts.sum()
    common = [len(set(a) & set(b)) / used for a, b in zip(choices, choices[1:])]
    report = {
        "entropy": -(share * share.clamp(min=1e-12).log()).sum().item() / math.log(experts),
        "least": (counts.min() / counts.mean()).item(), "most": (counts.max() / counts.mean()).item(),
        "unused": float((counts == 0).sum()), "common": sum(common) / len(common),
    }
    for part in SHARES:
        slots = max(used, round(part * experts))
        report[f"lru {part:.0%}"] = lru(choices, slots)
        report[f"belady {part:.0%}"] = belady(choices, slots)
    return {key: round(value, 4) for key, value in report.items()}


def routing_report(model: Model, tokenizer: Tokenizer, texts: list[str]) -> dict[str, object]:
    """The numbers of every layer, and of choices at random."""
    config = model.config
    layers = [describe(choices, config.experts) for choices in trace(model, tokenizer, texts)]
    return {
        "tokens": TOKENS, "experts": config.experts, "used": config.experts_used, "layers": layers,
        "uniform": describe(uniform(config.experts, config.experts_used, TOKENS), config.experts),
    }


def markdown(report: dict) -> str:
    """The report as a table."""
    keys = list(report["uniform"])
    heads = {"entropy": "load entropy", "least": "least used", "most": "most used", "common": "as the token before"}
    lines = ["| layer | " + " | ".join(heads.get(k, k) for k in keys) + " |", "| --- " * (len(keys) + 1) + "|"]
    rows = [*enumerate(report["layers"]), ("uniform", report["uniform"])]
    for name, row in rows:
        cells = [f"{row[k]:.0f}" if k == "unused" else f"{row[k]:.3f}" if k == "entropy" else f"{row[k]:.2f}" for k in keys]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
