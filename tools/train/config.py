"""Sizes of the model and of the training run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace


@dataclass(frozen=True)
class ModelConfig:
    """Sizes, and what the routers read.

    ``pre-attention`` (SmallThinker): the residual stream as it enters the layer. ``post-attention``: what the experts
    read. ``previous-layer`` (Pre-gated MoE, arXiv 2308.12066): what the experts of the layer before read; the first
    layer's router reads what its own do. ``decoupled`` (Read-ME's form, arXiv 2410.19123): a network of its own, one
    for all layers, that sees the embeddings only.
    """

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
    router_input: str = "pre-attention"


@dataclass(frozen=True)
class TrainConfig:
    """The run: small batches of whole documents; a flat rate (attention and experts: ``layer_rate``), then a fall.

    The reuse loss weighs ``reuse``, less as a layer's router keeps nearly ``reuse_share`` of the experts of the token
    before, nothing above. Left alone, routers keep experts by using a few for everything: so ``even_tokens`` more follow,
    with a balance loss of ``even_balance``, from ``even_rate`` of the full rate down to zero.
    ``distilled`` is the share of distilled documents from chunk ``distilled_from`` on.
    """

    tokens: int = 30_000_000
    batch_tokens: int = 4096
    rate: float = 0.003
    layer_rate: float = 0.0015
    warmup_steps: int = 100
    decay_fraction: float = 0.4
    balance: float = 0.1
    reuse: float = 0.1
    reuse_share: float = 0.8
    even_tokens: int = 0
    even_balance: float = 0.0
    even_rate: float = 0.0
    seed: int = 20
    first_chunk: int = 0
    distilled: float = 0.0
    distilled_from: int = 0
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
    "full", "Sluice Small", ModelConfig(layers=6),
    TrainConfig(
        tokens=8_000_000, batch_tokens=2048, rate=0.0025, balance=0.05,
        even_tokens=1_500_000, even_balance=0.3, even_rate=0.4,
        distilled=0.12, distilled_from=30,
    ),
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

ROUTER_INPUTS = ("pre-attention", "post-attention", "previous-layer", "decoupled")


def sibling(router_input: str, parent: Preset = TINY) -> Preset:
    """The preset that turns a trained ``parent`` into a model whose routers read something else."""
    model = replace(parent.model, router_input=router_input)
    run = replace(
        parent.train, tokens=800_000, rate=0.002, layer_rate=0.001, warmup_steps=50, decay_fraction=0.6,
        balance=0.02, first_chunk=1000,
    )
    return Preset(f"{parent.name}-{router_input}", f"{parent.title}, {router_input} router", model, run)


def preset_from_dict(data: dict) -> Preset:
    """The preset stored in a checkpoint; the oldest had no reuse loss."""
    run = {"reuse": 0.0} | data["train"]
    return Preset(data["name"], data["title"], ModelConfig(**data["model"]), TrainConfig(**run))
