import { type FileHandle, open } from "node:fs/promises";
import type { WeightFormat } from "../../../src/formats/format.ts";
import { type WeightFormatName, weightFormats } from "../../../src/formats/registry.ts";
import { createRandom, normalArray, type Random } from "../../../src/numeric/random.ts";
import { writeGgufHeader } from "../gguf-writer.ts";
import { bpeVocabulary } from "../tiny-vocab.ts";
import { publishedKeys } from "./header.ts";
import type { PublishedModel } from "./models.ts";
import { type PublishedTensor, publishedTensors } from "./tensors.ts";

/** How a file of random weights is made. */
export interface RandomFileOptions {
  /** Of all matrices whose rows it divides; the others are Q8_0 or F32. */
  readonly format: WeightFormatName;
  /** Fewer layers than the model has, to try what needs no whole one. */
  readonly layers?: number;
  readonly seed?: number;
  readonly onProgress?: (writtenBytes: number, allBytes: number) => void;
}

/** Weights that are made; a tensor is put together from runs of their blocks, which start anywhere. */
const POOL_WEIGHTS = 1 << 17;

/** Bytes that are written at once. */
const PIECE_BYTES = 4 << 20;

/** Tensor data starts at multiples of it. */
const ALIGNMENT = 32;

/**
 * Writes a GGUF with a published model's shapes and keys, random weights and a made-up vocabulary of its size, piece by
 * piece: a file may be larger than memory. Weights are scaled so that numbers stay within range. Same options, same file.
 */
export async function writeRandomFile(
  path: string,
  published: PublishedModel,
  { format, layers = published.layers, seed = 1, onProgress = () => {} }: RandomFileOptions,
): Promise<{ readonly bytes: number }> {
  const model = { ...published, layers };
  const tensors = publishedTensors(model).map((tensor) => {
    const own = formatOf(tensor, format);
    const blocks = weightsOf(tensor) / own.blockWeights;
    return { ...tensor, format: own, ggmlType: own.ggmlType, bytes: blocks * own.blockBytes };
  });
  const metadata = { ...publishedKeys(model), ...bpeVocabulary({ size: model.vocab }) };
  const { header, fileBytes } = writeGgufHeader({ metadata, tensors });
  const random = createRandom(seed);
  const pools = new Map<string, Uint8Array>();
  const file = await open(path, "w");
  try {
    await file.write(header);
    let written = header.length;
    for (const tensor of tensors) {
      const pool = poolFor(tensor, tensor.format, random, pools);
      await writeTensor(file, tensor.bytes, tensor.format.blockBytes, pool, random);
      const padding = -tensor.bytes & (ALIGNMENT - 1);
      if (padding > 0) await file.write(new Uint8Array(padding));
      written += tensor.bytes + padding;
      onProgress(written, fileBytes);
    }
    return { bytes: fileBytes };
  } finally {
    await file.close();
  }
}

function weightsOf({ shape }: PublishedTensor): number {
  return shape.reduce((product, length) => product * length, 1);
}

function formatOf({ kind, shape }: PublishedTensor, wanted: WeightFormatName): WeightFormat {
  if (kind === "f32") return weightFormats.f32;
  const fitting = [weightFormats[wanted], weightFormats.q8_0].find(
    ({ blockWeights }) => shape.at(-1)! % blockWeights === 0,
  );
  return fitting ?? weightFormats.f32;
}

/** Blocks of random weights, such that a product neither grows nor fades; those of norms are about 1. */
function poolFor(
  { shape, name }: PublishedTensor,
  format: WeightFormat,
  random: Random,
  pools: Map<string, Uint8Array>,
): Uint8Array {
  const isVector = shape.length === 1;
  const deviation = isVector ? 0.1 : 1 / Math.sqrt(shape.at(-1)!);
  const mean = isVector && name.endsWith("norm.weight") ? 1 : 0;
  const key = `${format.name} ${deviation} ${mean}`;
  let pool = pools.get(key);
  if (!pool) {
    const values = normalArray(random, POOL_WEIGHTS, deviation).map((value) => mean + value);
    pool = format.encode(values);
    pools.set(key, pool);
  }
  return pool;
}

async function writeTensor(
  file: FileHandle,
  bytes: number,
  blockBytes: number,
  pool: Uint8Array,
  random: Random,
): Promise<void> {
  for (let left = bytes; left > 0; ) {
    const piece = new Uint8Array(Math.min(left, PIECE_BYTES - (PIECE_BYTES % blockBytes)));
    for (let at = 0; at < piece.length; ) {
      const start = blockBytes * random.integer(pool.length / blockBytes);
      const run = pool.subarray(start, start + piece.length - at);
      piece.set(run, at);
      at += run.length;
    }
    await file.write(piece);
    left -= piece.length;
  }
}
