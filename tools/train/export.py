"""Write a checkpoint as a GGUF file: llama.cpp's architecture ``smallthinker``, or ``sluice`` for other routers."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Type

from bpe import END_OF_TEXT_ID, SPECIALS, TURN_END_ID
from config import Preset, preset_from_dict
from loading import OWN_ARCH, arch_of, tensor_names
from model import Model

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


class Precision(NamedTuple):
    """Types of the tensors: of embedding and attention, of the experts' gate and up, and of their down."""

    main: Type
    experts: Type
    down: Type

    @classmethod
    def of(cls, main: Type, experts: Type | None = None, down: Type | None = None) -> Precision:
        """What is not given is as what it is a part of."""
        experts = main if experts is None else experts
        return cls(main, experts, experts if down is None else down)


FILE_TYPES = {Type.F32: gguf.LlamaFileType.ALL_F32, Type.Q8_0: gguf.LlamaFileType.MOSTLY_Q8_0,
              Type.Q4_0: gguf.LlamaFileType.MOSTLY_Q4_0}


def add_metadata(writer: gguf.GGUFWriter, preset: Preset, main_type: Type) -> None:
    """Sizes and description."""
    config = preset.model
    writer.add_name(preset.title)
    writer.add_license("apache-2.0")
    writer.add_description("A small mixture-of-experts storyteller, trained from nothing on generated stories.")
    writer.add_languages(["en"])
    writer.add_file_type(FILE_TYPES[main_type])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_block_count(config.layers)
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.hidden)
    writer.add_feed_forward_length(config.expert_width)
    writer.add_expert_feed_forward_length(config.expert_width)
    writer.add_expert_count(config.experts)
    writer.add_expert_used_count(config.experts_used)
    writer.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.norm_eps)
    writer.add_rope_freq_base(config.rope_base)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_vocab_size(config.vocab_size)
    if writer.arch == OWN_ARCH:
        writer.add_string(f"{OWN_ARCH}.router_input", config.router_input)


def add_tokenizer(writer: gguf.GGUFWriter, path: Path) -> None:
    """Tokens, merges, special ids and the chat template."""
    bpe = json.loads(path.read_text(encoding="utf-8"))["model"]
    tokens = sorted(bpe["vocab"], key=bpe["vocab"].__getitem__)
    merges = [m if isinstance(m, str) else " ".join(m) for m in bpe["merges"]]
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([control if t in SPECIALS else normal for t in tokens])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(END_OF_TEXT_ID)
    writer.add_eos_token_id(TURN_END_ID)
    writer.add_eot_token_id(TURN_END_ID)
    writer.add_pad_token_id(END_OF_TEXT_ID)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def tensor_type(name: str, shape: tuple[int, ...], precision: Precision) -> Type:
    """Norms and routers stay F32; rows must be whole blocks."""
    if len(shape) < 2 or "ffn_gate_inp" in name:
        return Type.F32
    wanted = precision.down if "down_exps" in name else precision.experts if "_exps" in name else precision.main
    block, _ = gguf.GGML_QUANT_SIZES[wanted]
    return wanted if shape[-1] % block == 0 else Type.F32


def export(checkpoint: Path, out: Path, precision: Precision) -> None:
    """Write the file."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    preset = preset_from_dict(state["preset"])
    weights = Model(preset.model)
    weights.load_state_dict(state["model"])
    parameters = dict(weights.named_parameters())
    out.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(out, arch_of(preset.model))
    add_metadata(writer, preset, precision.main)
    add_tokenizer(writer, checkpoint.parent / "tokenizer.json")
    for ours, theirs in tensor_names(preset.model).items():
        values = np.ascontiguousarray(parameters[ours].detach().numpy(), dtype=np.float32)
        kind = tensor_type(theirs, values.shape, precision)
        data = values if kind == Type.F32 else gguf.quants.quantize(values, kind)
        writer.add_tensor(theirs, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    print(f"{out.name}: {out.stat().st_size} bytes")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--type", default="Q8_0", choices=[t.name for t in FILE_TYPES], help="embedding and attention")
    parser.add_argument("--experts", choices=[t.name for t in FILE_TYPES], help="experts (as --type if not given)")
    parser.add_argument("--down", choices=[t.name for t in FILE_TYPES], help="down-projections (as --experts)")
    args = parser.parse_args()
    types = [Type[name] if name else None for name in (args.experts, args.down)]
    export(args.checkpoint, args.out, Precision.of(Type[args.type], *types))


if __name__ == "__main__":
    main()
