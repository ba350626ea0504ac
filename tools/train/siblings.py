"""A trained model as the start of one whose routers read something else."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from torch import Tensor

from config import Preset
from data import EVALUATION_CHUNK, documents, group
from loading import load
from model import Model

SAMPLE_DOCUMENTS = 40


@torch.no_grad()
def entry_sizes(model: Model, ids: Tensor) -> list[float]:
    """The root mean square of the residual stream as it enters each layer: the scale that its router is used to."""
    sizes: list[float] = []
    handles = [
        layer.register_forward_pre_hook(lambda _, inputs: sizes.append(inputs[0].square().mean().sqrt().item()))
        for layer in model.layers
    ]
    model(ids)
    for handle in handles:
        handle.remove()
    return sizes


@torch.no_grad()
def start_sibling(preset: Preset, parent: Path) -> Model:
    """The parent's weights in a model of the preset's form.

    Routers read normed values now, so their weights are scaled by what the norm divides by and divided by the norm's
    own weights. A decoupled router starts with the attention of the first layer.
    """
    old, tokenizer = load(parent)
    model = Model(preset.model)
    missing, unexpected = model.load_state_dict(old.state_dict(), strict=False)
    if unexpected or any(not name.startswith("route.") for name in missing):
        raise ValueError(f"{parent} is not a parent of {preset.name}: {missing} {unexpected}")
    texts = documents(preset.train.seed, EVALUATION_CHUNK, SAMPLE_DOCUMENTS)
    sample = group(tokenizer, texts, 4096, preset.model.context, random.Random(0))[0]
    sizes = entry_sizes(old, sample.inputs)
    if model.route is not None:
        model.route.attention.load_state_dict(old.layers[0].attention.state_dict())
        model.route.attn_norm.load_state_dict(old.layers[0].attn_norm.state_dict())
    for index, layer in enumerate(model.layers):
        source = model.layers[max(0, index - 1) if preset.model.router_input == "previous-layer" else index]
        norm = source.ffn_norm if model.route is None else model.route.norm
        layer.experts.router.weight.mul_(sizes[index] / norm.weight.clamp(min=0.1))
    return model
