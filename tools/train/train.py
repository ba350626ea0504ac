"""Train a preset: tokenizer first, then the model, with checkpoints; a second run resumes."""

from __future__ import annotations

import argparse
import csv
import os
import random
import time
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor

from bpe import END_OF_TEXT_ID, load_tokenizer, train_tokenizer
from config import PRESETS, Preset, TrainConfig
from data import EVALUATION_CHUNK, IGNORED, TOKENIZER_CHUNK, Batch, batches, documents, group
from loading import load
from model import Model, Output
from siblings import start_sibling

TOKENIZER_DOCUMENTS = 40_000
CHECKPOINT_SECONDS = 60.0
# The reuse loss has its whole weight on routers that are this far below the share they should keep.
REUSE_MARGIN = 0.1


def device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def prepare_tokenizer(preset: Preset, folder: Path) -> tuple[Tokenizer, Preset]:
    """Load or train the tokenizer; the model takes the size that it really has."""
    path = folder / "tokenizer.json"
    if not path.exists():
        texts = documents(preset.train.seed, TOKENIZER_CHUNK, TOKENIZER_DOCUMENTS)
        train_tokenizer(texts, preset.model.vocab_size).save(str(path))
    tokenizer = load_tokenizer(path)
    return tokenizer, replace(preset, model=replace(preset.model, vocab_size=tokenizer.get_vocab_size()))


def rate_factor(step: int, tokens: int, config: TrainConfig) -> float:
    """Warm up, stay, then fall to zero over the last ``decay_fraction`` of the tokens; of the even ones, from the first."""
    if tokens >= config.tokens:
        return config.even_rate * max(0.0, 1.0 - (tokens - config.tokens) / max(1, config.even_tokens))
    warm = min(1.0, (step + 1) / config.warmup_steps)
    return warm * min(1.0, (1.0 - tokens / config.tokens) / config.decay_fraction)


def make_optimizer(model: Model, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW; each group remembers its own full rate."""
    inner, outer = [], []
    for name, p in model.named_parameters():
        (inner if ".attention." in name or name.endswith((".gate", ".up", ".down")) else outer).append(p)
    groups = [{"params": outer, "rate": config.rate}, {"params": inner, "rate": config.layer_rate}]
    return torch.optim.AdamW(groups, lr=config.rate, betas=(0.9, 0.98), weight_decay=0.05, fused=True)


def cross_entropy(output: Output, batch: Batch) -> Tensor:
    """Mean over the targets that count."""
    return F.cross_entropy(output.logits.flatten(0, 1).float(), batch.targets.flatten(), ignore_index=IGNORED)


def router_loss(output: Output, config: TrainConfig, tokens: int = 0) -> Tensor:
    """After ``tokens``: balance for all layers, reuse for those that keep too few experts.

    A reuse loss of fixed weight drives a router to one set of experts for a whole document. So its weight falls to
    zero as the share of kept experts reaches ``reuse_share``.
    """
    pressure = ((config.reuse_share - output.kept) / REUSE_MARGIN).clamp(0.0, 1.0)
    balance = config.balance if tokens < config.tokens else config.even_balance
    return balance * output.balance.mean() + config.reuse * (pressure * output.reuse).mean()


@torch.no_grad()
def held_out_loss(model: Model, batches: list[Batch]) -> float:
    """Mean cross-entropy over the batches."""
    total, count = 0.0, 0
    for batch in batches:
        total += cross_entropy(model(batch.inputs), batch).item() * batch.known()
        count += batch.known()
    return total / count


def in_batches(tokenizer: Tokenizer, texts: list[str], context: int, batch_tokens: int = 4096) -> list[Batch]:
    """The texts as batches, for evaluation."""
    return group(tokenizer, texts, batch_tokens, context, random.Random(0))


class LossLog:
    """The loss curve, one CSV line at a time."""

    FIELDS = ("step", "tokens", "train_loss", "balance_loss", "kept_experts", "held_out_loss", "rate", "seconds")

    def __init__(self, path: Path, keep_steps: int) -> None:
        old = list(csv.reader(path.open())) if path.exists() else []
        kept = [line for line in old[1:] if int(line[0]) <= keep_steps]
        self.file = path.open("w", newline="")
        self.writer = csv.writer(self.file, lineterminator="\n")
        self.writer.writerows([self.FIELDS, *kept])
        self.file.flush()

    def write(self, *values: object) -> None:
        """Append a line."""
        self.writer.writerow(values)
        self.file.flush()


def save(path: Path, state: dict[str, object]) -> None:
    """Write a checkpoint in one go."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def train(preset: Preset, folder: Path, parent: Path | None = None) -> None:
    """Train until the tokens are used up, from nothing or from a ``parent``, a checkpoint or a GGUF file."""
    folder.mkdir(parents=True, exist_ok=True)
    config = preset.train
    torch.manual_seed(config.seed)
    if parent:
        load(parent)[1].save(str(folder / "tokenizer.json"))
    tokenizer, preset = prepare_tokenizer(preset, folder)
    where = device()
    model = (start_sibling(preset, parent) if parent else Model(preset.model)).to(where)
    optimizer = make_optimizer(model, config)
    step, tokens, seconds, position = 0, 0, 0.0, None
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=where, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step, tokens, seconds, position = state["step"], state["tokens"], state["seconds"], tuple(state["position"])

    def state_now() -> dict[str, object]:
        return {
            "preset": preset.as_dict(), "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "step": step, "tokens": tokens, "seconds": seconds, "position": position,
        }

    log = LossLog(folder / "loss.csv", step)
    unseen = documents(config.seed, EVALUATION_CHUNK, 120)
    held_out = [b.to(where) for b in in_batches(tokenizer, unseen, preset.model.context)]
    total, active = model.count()
    print(f"{total} parameters, {active} used by a token, vocabulary {preset.model.vocab_size}, {where}", flush=True)
    stream = batches(tokenizer, config, preset.model.context, position)
    last_save = time.monotonic()
    running = 0.0
    while tokens < config.tokens + config.even_tokens:
        began = time.monotonic()
        batch, position = next(stream)
        factor = rate_factor(step, tokens, config)
        for parameters in optimizer.param_groups:
            parameters["lr"] = factor * parameters["rate"]
        batch = batch.to(where)
        output = model(batch.inputs)
        entropy = cross_entropy(output, batch)
        (entropy + router_loss(output, config, tokens)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        tokens += int((batch.inputs != END_OF_TEXT_ID).sum())
        running = entropy.item() if running == 0.0 else 0.97 * running + 0.03 * entropy.item()
        seconds += time.monotonic() - began
        if step % config.log_every == 0:
            checked = held_out_loss(model, held_out) if step % config.eval_every == 0 else None
            shown = f"{checked:.4f}" if checked is not None else ""
            balance, kept = output.balance.mean().item(), output.kept.mean().item()
            log.write(step, tokens, f"{running:.4f}", f"{balance:.4f}", f"{kept:.4f}", shown, f"{factor:.4f}", f"{seconds:.0f}")
            by_layer = " ".join(f"{part:.2f}" for part in output.kept.tolist())
            print(step, tokens, f"{running:.4f} balance {balance:.3f} kept {by_layer}", shown, f"{tokens / seconds:.0f}/s", flush=True)
        if time.monotonic() - last_save > CHECKPOINT_SECONDS:
            save(checkpoint, state_now())
            last_save = time.monotonic()
    save(checkpoint, state_now())
    print(f"held-out loss {held_out_loss(model, held_out):.4f} after {tokens} tokens", flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="full")
    parser.add_argument("--runs", type=Path, default=Path(__file__).parent / "runs")
    parser.add_argument("--tokens", type=int, help="train on this many tokens in all")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (0: all)")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    preset = PRESETS[args.preset]
    if args.tokens:
        preset = replace(preset, train=replace(preset.train, tokens=args.tokens))
    train(preset, args.runs / preset.name)


if __name__ == "__main__":
    main()
