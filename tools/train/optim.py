"""Muon for the matrices, AdamW for the rest (embedding, routers, norms)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim import Optimizer

from model import Model


def orthogonalise(matrix: Tensor, steps: int = 5) -> Tensor:
    """Newton-Schulz iteration towards the nearest orthogonal matrix; works on batches of matrices."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrix.shape[-2] > matrix.shape[-1]
    x = matrix.mT if tall else matrix
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.mT if tall else x


class Muon(Optimizer):
    """Momentum, orthogonalised. A 3-D parameter is a batch of matrices."""

    def __init__(self, params: list[Tensor], lr: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One update."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(p)
                buffer: Tensor = state["momentum"]
                buffer.lerp_(p.grad, 1 - group["momentum"])
                update = orthogonalise(p.grad.lerp(buffer, group["momentum"]))
                scale = max(1.0, p.shape[-2] / p.shape[-1]) ** 0.5
                p.add_(update, alpha=-group["lr"] * scale)


def make_optimizers(model: Model, muon_lr: float, adam_lr: float) -> list[Optimizer]:
    """The optimizers of a model."""
    matrices, others = [], []
    for name, p in model.named_parameters():
        (matrices if ".attention." in name or name.endswith((".gate", ".up", ".down")) else others).append(p)
    adam = torch.optim.AdamW(others, lr=adam_lr, betas=(0.9, 0.95), weight_decay=0.0)
    return [Muon(matrices, muon_lr), adam]


def set_rate(optimizers: list[Optimizer], base: list[float], factor: float) -> None:
    """Scale the learning rates."""
    for optimizer, rate in zip(optimizers, base, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate * factor
