"""Read a trained model from a checkpoint or from a GGUF file (whose weights are dequantised)."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from bpe import SPECIALS, load_tokenizer
from config import ModelConfig, preset_from_dict
from model import Model

OWN_ARCH = "sluice"


def arch_of(config: ModelConfig) -> str:
    """llama.cpp's architecture where there is one, or our own, whose metadata says what the routers read."""
    return "smallthinker" if config.router_input == "pre-attention" else OWN_ARCH


def tensor_names(config: ModelConfig) -> dict[str, str]:
    """GGUF names by the names of the PyTorch parameters."""
    names = {"embedding.weight": "token_embd.weight", "norm.weight": "output_norm.weight"}
    parts = {
        "attn_norm.weight": "attn_norm", "attention.q.weight": "attn_q", "attention.k.weight": "attn_k",
        "attention.v.weight": "attn_v", "attention.o.weight": "attn_output", "ffn_norm.weight": "ffn_norm",
        "experts.router.weight": "ffn_gate_inp", "experts.gate": "ffn_gate_exps", "experts.up": "ffn_up_exps",
        "experts.down": "ffn_down_exps",
    }
    for layer in range(config.layers):
        names |= {f"layers.{layer}.{ours}": f"blk.{layer}.{theirs}.weight" for ours, theirs in parts.items()}
    if config.router_input == "decoupled":
        early = {"attn_norm": "attn_norm", "attention.q": "attn_q", "attention.k": "attn_k", "attention.v": "attn_v",
                 "attention.o": "attn_output", "norm": "norm"}
        names |= {f"route.{ours}.weight": f"route_{theirs}.weight" for ours, theirs in early.items()}
    return names


def load_checkpoint(path: Path) -> tuple[Model, Tokenizer]:
    """A checkpoint of train.py, with the tokenizer that lies next to it."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    model = Model(preset_from_dict(state["preset"]).model)
    model.load_state_dict(state["model"])
    return model.eval(), load_tokenizer(path.parent / "tokenizer.json")


def field(reader: gguf.GGUFReader, key: str) -> object:
    """A metadata value."""
    found = reader.get_field(key)
    if found is None:
        raise KeyError(key)
    return found.contents()


def gguf_config(reader: gguf.GGUFReader) -> ModelConfig:
    """The sizes in the metadata."""
    arch = str(field(reader, "general.architecture"))

    def number(key: str) -> int:
        return int(field(reader, f"{arch}.{key}"))

    return ModelConfig(
        vocab_size=number("vocab_size"), hidden=number("embedding_length"), layers=number("block_count"),
        heads=number("attention.head_count"), kv_heads=number("attention.head_count_kv"),
        head_dim=number("attention.key_length"), experts=number("expert_count"),
        experts_used=number("expert_used_count"), expert_width=number("expert_feed_forward_length"),
        context=number("context_length"), rope_base=float(field(reader, f"{arch}.rope.freq_base")),
        norm_eps=float(field(reader, f"{arch}.attention.layer_norm_rms_epsilon")),
        router_input=str(field(reader, f"{arch}.router_input")) if arch == OWN_ARCH else "pre-attention",
    )


def gguf_tokenizer(reader: gguf.GGUFReader) -> Tokenizer:
    """The tokenizer from the tokens and merges of the file."""
    tokens = list(field(reader, "tokenizer.ggml.tokens"))
    merges = [tuple(m.split(" ")) for m in field(reader, "tokenizer.ggml.merges")]
    tokenizer = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIALS])
    return tokenizer


def load_gguf(path: Path) -> tuple[Model, Tokenizer]:
    """A GGUF file that export.py wrote."""
    reader = gguf.GGUFReader(path)
    model = Model(gguf_config(reader))
    stored = {t.name: t for t in reader.tensors}
    state = {}
    for ours, theirs in tensor_names(model.config).items():
        tensor = stored[theirs]
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        shape = tuple(int(n) for n in reversed(tensor.shape))
        state[ours] = torch.from_numpy(np.array(values, dtype=np.float32).reshape(shape))
    model.load_state_dict(state)
    return model.eval(), gguf_tokenizer(reader)


def load(path: Path) -> tuple[Model, Tokenizer]:
    """Either of the two, by the name's ending."""
    return load_gguf(path) if path.suffix == ".gguf" else load_checkpoint(path)
