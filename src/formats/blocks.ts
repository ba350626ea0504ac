import { viewOf } from "../numeric/bits.ts";
import type { WeightFormat } from "./format.ts";

/** How many weights and bytes a block has. */
type BlockSizes = Pick<WeightFormat, "blockWeights" | "blockBytes">;

/** The weights of `blocks`, each block decoded by itself into the weights that it is given. */
export function decodeBlocks(
  { blockWeights, blockBytes }: BlockSizes,
  blocks: Uint8Array,
  decode: (block: DataView, weights: Float32Array) => void,
): Float32Array {
  const count = blocks.byteLength / blockBytes;
  const weights = new Float32Array(count * blockWeights);
  for (let block = 0; block < count; block++) {
    decode(
      viewOf(blocks.subarray(block * blockBytes, (block + 1) * blockBytes)),
      weights.subarray(block * blockWeights, (block + 1) * blockWeights),
    );
  }
  return weights;
}

/** The blocks of `weights`, each encoded by itself into bytes that are 0 before. */
export function encodeBlocks(
  { blockWeights, blockBytes }: BlockSizes,
  weights: Float32Array,
  encode: (values: Float32Array, block: DataView) => void,
): Uint8Array<ArrayBuffer> {
  const count = weights.length / blockWeights;
  const blocks = new Uint8Array(count * blockBytes);
  for (let block = 0; block < count; block++) {
    encode(
      weights.subarray(block * blockWeights, (block + 1) * blockWeights),
      viewOf(blocks.subarray(block * blockBytes, (block + 1) * blockBytes)),
    );
  }
  return blocks;
}
