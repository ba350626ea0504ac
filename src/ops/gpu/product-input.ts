import type { WeightFormat } from "../../formats/format.ts";
import { BLOCK_NUMBERS, type InputFormat } from "../../formats/input/format.ts";
import { accuracies, unitOn } from "../../formats/input/registry.ts";
import { blockParts, weightParts } from "../../formats/parts.ts";
import { inputParts, rowDotsParts } from "../../kernels/parts.ts";
import { quantise, storeConstants } from "../../kernels/quantise.ts";
import { checkMultiple } from "../checks.ts";
import type { GpuResources } from "../gpu-resources.ts";
import type { Scratch } from "../program.ts";
import { type PendingLayerNorm, type PendingNorm, pendingOf } from "./lazy.ts";
import type { GpuTensor, Recording } from "./recording.ts";

/** What a product reads: a buffer, the norm that is taken of it on the way, and the vectors that this needs. */
export interface ProductInput {
  readonly scratch: Scratch;
  readonly parts: readonly string[];
  /** Names of vectors that the kernel's begin with. */
  readonly vectors: readonly string[];
  readonly epsilon: number;
  /** Whether weights are read in blocks of integers. */
  readonly integers: boolean;
}

/**
 * The blocks that products of matrices in these formats read; undefined for numbers as they are: unless it was asked for
 * and all of the formats have blocks of integers.
 */
export function blocksFor(
  { accuracy }: GpuResources,
  ...formats: WeightFormat[]
): InputFormat | undefined {
  return formats.every(({ blockParts }) => blockParts) ? accuracies[accuracy] : undefined;
}

/** Whether products of one input are all of one kind, so that one kernel may compute them. */
export function areAlike(gpu: GpuResources, formats: readonly WeightFormat[]): boolean {
  return new Set(formats.map((format) => blocksFor(gpu, format))).size <= 1;
}

/**
 * The input of a product that is always exact. An RMS norm that nobody has computed is left to it. So is a layer norm where
 * each of its workgroups has one token and many lanes, which read the row once more together: a lane that has rows by
 * itself would take longer for that than a dispatch.
 */
export function exactInput({ maxTokens, gpu }: Recording, x: GpuTensor): ProductInput {
  const norm = pendingOf(x, "norm");
  if (norm) return normedInput(norm, inputParts.normed, [norm.weight]);
  const hasOneToken = maxTokens === 1 || x.single;
  const sharesRows = gpu.variant.matrix.constants.LANES! > 1;
  const layerNorm = hasOneToken && sharesRows ? pendingOf(x, "layer-norm") : undefined;
  return layerNorm ? layerNormInput(layerNorm) : plainInput(x.scratch);
}

/** A layer norm that is taken on the way. */
export function layerNormInput(norm: PendingLayerNorm): ProductInput {
  const part = norm.centred ? inputParts.layerNormed : inputParts.uncentred;
  return normedInput(norm, part, [norm.weight, norm.bias]);
}

function normedInput(
  { x, epsilon }: Pick<PendingNorm, "x" | "epsilon">,
  part: string,
  vectors: readonly string[],
): ProductInput {
  return { scratch: x.scratch, parts: [part], vectors, epsilon, integers: false };
}

/** Numbers as they are. */
function plainInput(scratch: Scratch): ProductInput {
  return { scratch, parts: [inputParts.plain], vectors: [], epsilon: 0, integers: false };
}

/**
 * The input of a kernel that multiplies it with matrices in `formats`. Where it is read in blocks, they are made first,
 * once for all that read them.
 */
export function productInput(
  recording: Recording,
  x: GpuTensor,
  ...formats: WeightFormat[]
): ProductInput {
  const format = blocksFor(recording.gpu, ...formats);
  if (!format) return exactInput(recording, x);
  const { quantised } = recording;
  let blocks = quantised.get(x);
  if (!blocks) {
    blocks = recordQuantise(
      recording,
      exactInput(recording, x),
      format,
      { cols: x.width },
      x.single,
    );
    quantised.set(x, blocks);
  }
  return blockInput(recording.gpu, format, blocks);
}

/** The numbers of each token in a buffer: see `quantise`. */
export interface TokenNumbers {
  readonly cols: number;
  /** Others, which start behind the first ones of all tokens: how many each token has. */
  readonly moreCols?: number;
  /** Whether a number of each token follows that no product reads. */
  readonly hasRaw?: boolean;
}

/** The same of what a kernel wrote that computes several experts at once, for those in which it is multiplied next. */
export function unitsInput(
  recording: Recording,
  scratch: Scratch,
  numbers: TokenNumbers,
  ...formats: WeightFormat[]
): ProductInput {
  const plain = plainInput(scratch);
  const format = blocksFor(recording.gpu, ...formats);
  if (!format) return plain;
  const blocks = recordQuantise(recording, plain, format, numbers, false);
  return blockInput(recording.gpu, format, blocks);
}

function blockInput(
  { accuracy, context }: GpuResources,
  format: InputFormat,
  scratch: Scratch,
): ProductInput {
  const unit = unitOn(format, context);
  if (!unit) throw new Error(`unreachable: this device does not multiply in ${accuracy}`);
  return { scratch, parts: unit.parts, vectors: [], epsilon: 0, integers: unit.integers };
}

function recordQuantise(
  { gpu, recorder, maxTokens }: Recording,
  x: ProductInput,
  format: InputFormat,
  { cols, moreCols = 0, hasRaw = false }: TokenNumbers,
  single: boolean,
): Scratch {
  checkMultiple("what is read in blocks", cols, BLOCK_NUMBERS);
  const moreFirst = maxTokens * cols;
  const rawFirst = moreFirst + maxTokens * moreCols;
  // As much room in blocks as there is for numbers, and behind it a block for each four of those that stay as they are.
  const blocks = Math.ceil(x.scratch.bytes / 4 / BLOCK_NUMBERS);
  const y = recorder.scratch(
    format.blockBytes * (blocks + (hasRaw ? Math.ceil(maxTokens / 4) : 0)),
  );
  recorder.dispatch(quantise, {
    params: {
      cols,
      more_first: moreFirst,
      more_cols: moreCols,
      raw_first: rawFirst,
      has_raw: hasRaw ? 1 : 0,
      epsilon: x.epsilon,
    },
    buffers: {
      x: x.scratch,
      // What is not there is not read: any buffer does that is only read.
      vectors: x.vectors.length > 0 ? gpu.vectors(...x.vectors) : x.scratch,
      y,
    },
    parts: [format.write, ...x.parts, gpu.variant.norm.reduce],
    constants: { ...gpu.variant.norm.constants, ...storeConstants(format) },
    single,
  });
  return y;
}

/** The parts of `row_dots_NAME` of a matrix, for a kernel with such an input. */
export function rowDotsOf(
  { integers }: ProductInput,
  format: WeightFormat,
  name: string,
  binding = 0,
): readonly string[] {
  return rowDotsParts(format, name, { binding, integers });
}

/** The parts of what gives a matrix's weights by units, for a kernel with such an input. */
export function loaderOf(
  { integers }: ProductInput,
  format: WeightFormat,
  name = "load_weights",
): readonly string[] {
  return integers ? blockParts(format, name) : weightParts(format, name);
}
