"""Writes test/node/formats/golden.json: what gguf-py makes of blocks and of weights, for src/formats.

    python -m venv VENV && VENV/bin/pip install gguf==0.19.0 numpy
    VENV/bin/python tools/golden/make_format_vectors.py

For each format, little-endian and in base64:
  decode: blocks, random and extreme, with every value of a byte, and their weights (f32) by gguf.quants.dequantize;
  encode: weights and their blocks by gguf.quants.quantize, where gguf-py has a quantiser.
"""

import base64
import json
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize, quantize

# The bytes of a block at which it has f16 scales.
SCALES = {
    "F32": [],
    "F16": [],
    "BF16": [],
    "Q8_0": [0],
    "Q5_1": [0, 2],
    "Q5_0": [0],
    "Q4_1": [0, 2],
    "Q4_0": [0],
    "Q6_K": [208],
    "Q5_K": [0, 2],
    "Q4_K": [0, 2],
    "Q3_K": [108],
    "Q2_K": [80, 82],
    "IQ4_XS": [0],
    "IQ4_NL": [0],
    "MXFP4": [],
    "NVFP4": [],
    "TQ2_0": [64],
    "TQ1_0": [52],
}
QUANTISERS = [
    "F16", "BF16", "Q8_0", "Q5_1", "Q5_0", "Q4_1", "Q4_0", "MXFP4", "TQ2_0", "TQ1_0",
]
# How many bytes a block starts with that are scales, and the largest such byte that gives finite weights.
BYTE_SCALES = {"MXFP4": (1, 252), "NVFP4": (4, 255)}
RANDOM_BLOCKS = 3
# -0, the smallest and the largest subnormal, the smallest normal, the largest number, 1, a negative subnormal.
EXTREME_SCALES = [0x8000, 0x0001, 0x03FF, 0x0400, 0x7BFF, 0x3C00, 0x81FF]
OUTPUT = Path(__file__).parents[2] / "test/node/formats/golden.json"


def decode_blocks(name: str, random: np.random.Generator) -> np.ndarray:
    """Blocks whose scales are finite: [blocks, bytes of a block]."""
    block_weights, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType[name]]
    if block_weights == 1:
        return plain_numbers(name, random)
    if name in BYTE_SCALES:
        return byte_scale_blocks(name, random)
    blocks = random.integers(0, 256, (RANDOM_BLOCKS + len(EXTREME_SCALES) + 2, block_bytes), dtype=np.uint8)
    ramp = np.resize(np.arange(256, dtype=np.uint8), (-(-256 // block_bytes), block_bytes))
    blocks = np.concatenate([blocks[:-2], ramp, blocks[-2:]])
    blocks[-2] = 0x00
    blocks[-1] = 0xFF
    for at in SCALES[name]:
        halves = random.normal(0, 1e-3, len(blocks)).astype(np.float16).view(np.uint16)
        halves[RANDOM_BLOCKS : RANDOM_BLOCKS + len(EXTREME_SCALES)] = np.roll(EXTREME_SCALES, at)
        halves[-2] = 0
        blocks[:, at : at + 2] = halves.view(np.uint8).reshape(-1, 2)
    return blocks


def byte_scale_blocks(name: str, random: np.random.Generator) -> np.ndarray:
    """Blocks with every scale byte whose weights are finite: [blocks, bytes of a block]."""
    block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType[name]][1]
    scales, largest = BYTE_SCALES[name]
    blocks = random.integers(0, 256, ((largest + 1) // scales, block_bytes), dtype=np.uint8)
    blocks[:, :scales] = np.arange(largest + 1, dtype=np.uint8).reshape(-1, scales)
    return blocks


def plain_numbers(name: str, random: np.random.Generator) -> np.ndarray:
    """Numbers of any size, subnormals too, but finite: [numbers, bytes of a number]."""
    types = {"F32": (np.uint32, 0x7F80_0000), "F16": (np.uint16, 0x7C00), "BF16": (np.uint16, 0x7F80)}
    unsigned, exponent = types[name]
    bits = random.integers(0, 2 ** (8 * np.dtype(unsigned).itemsize), 64, dtype=unsigned)
    bits[:32] &= ~unsigned(exponent)
    bits[0] = 0
    bits = bits[(bits & exponent) != exponent]
    return bits.view(np.uint8).reshape(len(bits), -1)


def encode_weights(name: str, random: np.random.Generator) -> np.ndarray:
    """Weights with zeros, ties and a lone large one: [blocks, weights of a block]."""
    block_weights = max(32, GGML_QUANT_SIZES[GGMLQuantizationType[name]][0])
    weights = random.normal(0, 0.02, (6, block_weights)).astype(np.float32)
    weights[1] = 0
    weights[2] = np.arange(block_weights) - 16.5
    weights[3, 5] = -40
    weights[4] *= 1e-4
    return weights


def text(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def main() -> None:
    golden = {}
    for name in SCALES:
        random = np.random.default_rng(1)
        kind = GGMLQuantizationType[name]
        blocks = decode_blocks(name, random)
        weights = dequantize(blocks, kind)
        assert np.isfinite(weights).all(), name
        golden[name.lower()] = {"decode": {"blocks": text(blocks), "weights": text(weights)}}
        if name in QUANTISERS:
            weights = encode_weights(name, random)
            golden[name.lower()]["encode"] = {"weights": text(weights), "blocks": text(quantize(weights, kind))}
    OUTPUT.write_text(json.dumps(golden, indent=2) + "\n")


if __name__ == "__main__":
    main()
