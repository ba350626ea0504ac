"""The model: attention and a mixture of ReGLU experts. What the routers read is ``ModelConfig.router_input``."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from config import ModelConfig

WEIGHT_SUM_MIN = 2.0**-14


def rope_table(config: ModelConfig, length: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines, ``[length, head_dim / 2]``."""
    half = config.head_dim // 2
    frequency = config.rope_base ** (-torch.arange(half, dtype=torch.float64) / half)
    angle = torch.arange(length, dtype=torch.float64)[:, None] * frequency
    return angle.cos().float(), angle.sin().float()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding over half-split pairs; ``x`` is ``[batch, heads, time, head_dim]``."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


class Attention(nn.Module):
    """Causal grouped-query attention."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.q = nn.Linear(config.hidden, config.heads * config.head_dim, bias=False)
        self.k = nn.Linear(config.hidden, config.kv_heads * config.head_dim, bias=False)
        self.v = nn.Linear(config.hidden, config.kv_heads * config.head_dim, bias=False)
        self.o = nn.Linear(config.heads * config.head_dim, config.hidden, bias=False)

    @torch.no_grad()
    def start_copying(self, strength: float = 0.15) -> None:
        """Let the values pass unchanged: output times value is a projection to start with.

        A story's names and objects are copied from its request. From random matrices a small model needs millions of
        tokens to find that; from here only where to look is left to learn.
        """
        config = self.config
        size = (config.hidden, config.kv_heads * config.head_dim)
        basis = torch.linalg.qr(torch.randn(size))[0]
        self.v.weight.copy_(basis.T)
        shared = basis.view(config.hidden, config.kv_heads, 1, config.head_dim)
        spread = shared.expand(-1, -1, config.heads // config.kv_heads, -1)
        self.o.weight.copy_(strength * spread.reshape(config.hidden, -1))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Attend over ``[batch, time, hidden]``."""
        batch, time, _ = x.shape
        groups = self.config.heads // self.config.kv_heads

        def split(y: Tensor) -> Tensor:
            return y.view(batch, time, -1, self.config.head_dim).transpose(1, 2)

        q = rotate(split(self.q(x)), cos, sin)
        k = rotate(split(self.k(x)), cos, sin).repeat_interleave(groups, dim=1)
        v = split(self.v(x)).repeat_interleave(groups, dim=1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o(y.transpose(1, 2).reshape(batch, time, -1))


class Experts(nn.Module):
    """The router and its experts. Tokens are sorted by expert, so that each expert is one matrix product."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.router = nn.Linear(config.hidden, config.experts, bias=False)
        self.gate = nn.Parameter(torch.empty(config.experts, config.expert_width, config.hidden))
        self.up = nn.Parameter(torch.empty(config.experts, config.expert_width, config.hidden))
        self.down = nn.Parameter(torch.empty(config.experts, config.hidden, config.expert_width))

    def route(self, residual: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scores of all experts, the chosen experts and their weights; ``residual`` is ``[tokens, hidden]``."""
        scores = self.router(residual).sigmoid()
        top, chosen = scores.topk(self.config.experts_used, dim=-1)
        return scores, chosen, top / top.sum(-1, keepdim=True).clamp(min=WEIGHT_SUM_MIN)

    def balance_loss(self, scores: Tensor, counts: Tensor) -> Tensor:
        """1 when every expert is used equally often, more otherwise."""
        share = counts / counts.sum()
        probability = (scores / scores.sum(-1, keepdim=True)).mean(0)
        return self.config.experts * (share * probability).sum()

    def reuse_loss(self, residual: Tensor) -> tuple[Tensor, Tensor]:
        """How surprised the router is that a token should use the experts of the token before it, and how many it does.

        An expert that stays in use need not be fetched again: this is what makes a small expert cache hit.
        ``residual`` is ``[batch, time, hidden]``. Source: the aim is ReMoE's (arXiv 2605.27081); the form is our own.
        """
        logits = self.router(residual)
        chosen = logits.detach().topk(self.config.experts_used, dim=-1).indices
        before, after = chosen[:, :-1], chosen[:, 1:]
        kept = (before[..., :, None] == after[..., None, :]).any(-1).float().mean()
        return -logits[:, 1:].log_softmax(-1).gather(-1, before).mean(), kept

    def forward(self, x: Tensor, residual: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Output, balance loss and tokens per expert; both inputs are ``[tokens, hidden]``."""
        scores, chosen, weights = self.route(residual)
        order = chosen.flatten().argsort(stable=True)
        counts = torch.bincount(chosen.flatten(), minlength=self.config.experts)
        source = order // self.config.experts_used
        sizes = counts.tolist()
        pieces = []
        groups = zip(x.index_select(0, source).split(sizes), self.gate, self.up, self.down, strict=True)
        for part, gate, up, down in groups:
            hidden = F.linear(part, gate).relu() * F.linear(part, up)
            pieces.append(F.linear(hidden, down))
        y = torch.cat(pieces) * weights.flatten().index_select(0, order)[:, None]
        out = torch.zeros_like(x).index_add(0, source, y)
        return out, self.balance_loss(scores, counts), counts


class Step(NamedTuple):
    """What a layer gives: the new residual stream, what its router did, and what its experts read."""

    h: Tensor
    balance: Tensor
    reuse: Tensor
    kept: Tensor
    counts: Tensor
    read: Tensor


class Output(NamedTuple):
    """Logits ``[batch, time, vocabulary]``; for each layer both losses of its router, the share of the experts of the
    token before that are used again, and tokens per expert."""

    logits: Tensor
    balance: Tensor
    reuse: Tensor
    kept: Tensor
    counts: Tensor


class Layer(nn.Module):
    """One layer."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attn_norm = nn.RMSNorm(config.hidden, eps=config.norm_eps)
        self.attention = Attention(config)
        self.ffn_norm = nn.RMSNorm(config.hidden, eps=config.norm_eps)
        self.experts = Experts(config)
        self.reads_entry = config.router_input == "pre-attention"

    def forward(self, h: Tensor, cos: Tensor, sin: Tensor, given: Tensor | None = None) -> Step:
        """Attention, then experts; ``given`` is what the router reads if it comes from outside the layer."""
        x = h + self.attention(self.attn_norm(h), cos, sin)
        read = self.ffn_norm(x)
        seen = h if self.reads_entry else read if given is None else given
        y, balance, counts = self.experts(read.flatten(0, 1), seen.flatten(0, 1))
        return Step(x + y.view_as(x), balance, *self.experts.reuse_loss(seen), counts, read)


class EarlyRouter(nn.Module):
    """The part of a decoupled router that all layers share: one attention over the embeddings."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attn_norm = nn.RMSNorm(config.hidden, eps=config.norm_eps)
        self.attention = Attention(config)
        self.norm = nn.RMSNorm(config.hidden, eps=config.norm_eps)

    def forward(self, embedded: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """What the routers of all layers read."""
        return self.norm(embedded + self.attention(self.attn_norm(embedded), cos, sin))


class Model(nn.Module):
    """The whole model; the output matrix is the embedding."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.hidden)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = nn.RMSNorm(config.hidden, eps=config.norm_eps)
        self.route = EarlyRouter(config) if config.router_input == "decoupled" else None
        cos, sin = rope_table(config, config.context)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.reset()

    def reset(self) -> None:
        """Initial weights. What the layers write starts small, so that the residual stream starts as the embedding."""
        for name, weight in self.named_parameters():
            if weight.dim() < 2:
                continue
            std = weight.shape[-1] ** -0.5
            if name.endswith("experts.down"):
                std *= 0.1
            if name == "embedding.weight":
                std = 0.1
            nn.init.normal_(weight, std=std)
        for layer in self.layers:
            layer.attention.start_copying()
        if self.route is not None:
            self.route.attention.start_copying()

    def forward(self, ids: Tensor) -> Output:
        """Run ``ids`` ``[batch, time]``."""
        h = self.embedding(ids)
        cos, sin = self.cos[: ids.shape[1]], self.sin[: ids.shape[1]]
        given = self.route(h, cos, sin) if self.route is not None else None
        steps: list[Step] = []
        for layer in self.layers:
            if steps and self.config.router_input == "previous-layer":
                given = steps[-1].read
            steps.append(layer(h, cos, sin, given))
            h = steps[-1].h
        _, balance, reuse, kept, counts, _ = (torch.stack(part) for part in zip(*steps, strict=True))
        return Output(F.linear(self.norm(h), self.embedding.weight), balance, reuse, kept, counts)

    def count(self) -> tuple[int, int]:
        """Parameters in all, and those that one token uses."""
        total = sum(p.numel() for p in self.parameters())
        experts = sum(p.numel() for name, p in self.named_parameters() if name.endswith((".gate", ".up", ".down")))
        return total, total - experts + experts * self.config.experts_used // self.config.experts
