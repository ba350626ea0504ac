import block from "../../shaders/formats/blocks/tq2_0.wgsl?raw";
import blocks from "../../shaders/formats/shared/blocks.wgsl?raw";
import bytes from "../../shaders/formats/shared/bytes.wgsl?raw";
import half from "../../shaders/formats/shared/half.wgsl?raw";
import halfPlane from "../../shaders/formats/shared/half_plane.wgsl?raw";
import quants from "../../shaders/formats/shared/quants.wgsl?raw";
import source from "../../shaders/formats/tq2_0.wgsl?raw";
import { viewOf } from "../numeric/bits.ts";
import { f16ToF32, f32ToF16 } from "../numeric/f16.ts";
import { bitRuns } from "./bit-runs.ts";
import { decodeBlocks, encodeBlocks } from "./blocks.ts";
import { fitTernary } from "./fit.ts";
import type { WeightFormat } from "./format.ts";
import { readHalfScales } from "./half-scales.ts";
import { readQuants } from "./quant-words.ts";

const SIZES = { blockWeights: 256, blockBytes: 66 };
/** Fours of weights in a block. */
const QUADS = SIZES.blockWeights / 4;
/** Bytes of a block: the quants from 0 on, and d, f16. */
const QUANT_BYTES = 64;
const D = QUANT_BYTES;
const pairs = bitRuns(32, 2);

/**
 * 256 weights that are -d, 0 or d, 2 bits each; the bits 3, which no quantiser writes, stand for 2d.
 *
 * Source: ggml block_tq2_0.
 */
export const tq2_0: WeightFormat = {
  name: "tq2_0",
  ggmlType: 35,
  ...SIZES,
  planeBlockBytes: [QUANT_BYTES, 2],
  parts: [source, bytes, quants, half, halfPlane],
  isScaled: true,
  blockParts: [block, blocks, half, halfPlane],

  repack(blocks, planes) {
    const from = viewOf(blocks);
    const [quantPlane, ds] = planes.map(viewOf) as [DataView, DataView];
    const count = blocks.byteLength / SIZES.blockBytes;
    for (let block = 0; block < count; block++) {
      const start = block * SIZES.blockBytes;
      pairs.repack(from, start, quantPlane, block * QUANT_BYTES, SIZES.blockWeights);
      ds.setUint16(2 * block, from.getUint16(start + D, true), true);
    }
  },

  decode: (blocks) =>
    decodeBlocks(SIZES, blocks, (block, weights) => {
      const d = f16ToF32(block.getUint16(D, true));
      for (let i = 0; i < weights.length; i++) weights[i] = (pairs.get(block, 0, i) - 1) * d;
    }),

  integers: {
    groupWeights: 256,
    hasMins: false,
    read([quants, ds], first, blocks, target) {
      readQuants(quants!, 2, 1, QUADS * first, QUADS * blocks, target);
      readHalfScales(ds!, first, blocks, target);
    },
  },

  encode: (weights) =>
    encodeBlocks(SIZES, weights, (values, block) => {
      const { scale, quants } = fitTernary(values);
      quants.forEach((quant, i) => {
        pairs.put(block, 0, i, quant);
      });
      block.setUint16(D, f32ToF16(scale), true);
    }),
};
