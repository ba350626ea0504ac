"""Sizes of the model and of the training run."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class ModelConfig:
    """A SmallThinker-style model: the router reads the residual stream before the attention norm."""

    vocab_size: int = 2048
    hidden: int = 256
    layers: int = 8
    heads: int = 8
    kv_heads: int = 2
    head_dim: int = 32
    experts: int = 32
    experts_used: int = 4
    expert_width: int = 128
    context: int = 1024
    rope_base: float = 10000.0
    norm_eps: float = 1e-5


@dataclass(frozen=True)
class TrainConfig:
    """The run: small batches of whole documents; a flat rate (attention and experts: ``layer_rate``), then a fall."""

    tokens: int = 30_000_000
    batch_tokens: int = 4096
    rate: float = 0.003
    layer_rate: float = 0.0015
    warmup_steps: int = 100
    decay_fraction: float = 0.4
    balance: float = 0.1
    reuse: float = 0.1
    seed: int = 20
    log_every: int = 20
    eval_every: int = 400


@dataclass(frozen=True)
class Preset:
    """A named pair of configurations."""

    name: str
    title: str
    model: ModelConfig
    train: TrainConfig

    def as_dict(self) -> dict[str, object]:
        """Everything, for a checkpoint."""
        return asdict(self)


FULL = Preset(
    "full", "Sluice Small", ModelConfig(layers=6), TrainConfig(tokens=11_000_000, batch_tokens=2048, rate=0.0025)
)

TINY = Preset(
    "tiny",
    "Sluice Tiny",
    ModelConfig(hidden=128, layers=4, heads=4, kv_heads=2, experts=16, expert_width=96, context=512),
    TrainConfig(tokens=6_000_000, batch_tokens=1280, balance=0.01, reuse=0.0),
)

SMOKE = Preset(
    "smoke",
    "Sluice Smoke",
    ModelConfig(hidden=64, layers=2, heads=2, kv_heads=1, experts=8, expert_width=32, context=512),
    TrainConfig(tokens=40_960, batch_tokens=2048, eval_every=10),
)

PRESETS: dict[str, Preset] = {p.name: p for p in (FULL, TINY, SMOKE)}


def preset_from_dict(data: dict) -> Preset:
    """The preset stored in a checkpoint."""
    return Preset(data["name"], data["title"], ModelConfig(**data["model"]), TrainConfig(**data["train"]))
