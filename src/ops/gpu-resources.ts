import type { CacheFormat } from "../formats/cache/format.ts";
import type { WeightFormat } from "../formats/format.ts";
import type { Accuracy } from "../formats/input/registry.ts";
import type { GpuContext } from "../gpu/device.ts";
import type { Variant } from "../kernels/parts.ts";
import type { RopeSpec } from "./ops.ts";
import type { StateValues } from "./recurrent.ts";

/** Rows of a matrix in one buffer, in its format's planes. */
export interface GpuMatrixPart {
  readonly buffer: GPUBuffer;
  readonly firstRow: number;
  readonly rows: number;
}

/** A matrix on the GPU. */
export interface GpuMatrix {
  /** All of its rows, in order: more than one part where the device does not bind so much at once. */
  readonly parts: readonly GpuMatrixPart[];
  readonly rows: number;
  readonly cols: number;
  readonly format: WeightFormat;
}

/** A table of ids on the GPU: `[rows, cols]` u32. */
export interface GpuTable {
  readonly buffer: GPUBuffer;
  readonly rows: number;
  readonly cols: number;
}

/** Where an expert's biases lie in its record: words from its start. */
export interface ExpertBiases {
  readonly gateFirst: number;
  readonly upFirst: number;
  readonly downFirst: number;
}

/** The slots of one pool: where its experts' records lie, and how a record is laid out. Offsets are in words. */
export interface ExpertArenas {
  readonly slots: number;
  readonly slotsPerArena: number;
  readonly slotWords: number;
  readonly gateFirst: number;
  readonly upFirst: number;
  readonly downFirst: number;
  /** Where the biases of the products start; undefined where experts have none. */
  readonly biases: ExpertBiases | undefined;
  readonly gateFormat: WeightFormat;
  readonly upFormat: WeightFormat;
  readonly downFormat: WeightFormat;
  /** Whether a record's down matrix is `[ffn, hidden]` instead of `[hidden, ffn]`. */
  readonly downByColumns: boolean;
  readonly arenas: readonly GPUBuffer[];
}

/** A layer's keys and values on the GPU: the key of position p is in row p modulo `rows`. */
export interface GpuKvCache {
  readonly buffer: GPUBuffer;
  readonly rows: number;
  readonly format: CacheFormat;
}

/** Everything on the GPU that a program binds; the engine owns all of it. Look-ups throw "shape-mismatch". */
export interface GpuResources {
  readonly context: GpuContext;
  readonly variant: Variant;
  readonly accuracy: Accuracy;
  readonly contextTokens: number;
  /** `control` block: see `shaders/control/read.wgsl`. */
  readonly control: GPUBuffer;
  /** `[pools, experts]` u32. */
  readonly pageTable: GPUBuffer;
  /** First word of a pool in the page table. */
  pageFirst(pool: number): number;
  /** Word 0: the token that a pass has chosen. */
  readonly result: GPUBuffer;
  /** How tokens are chosen: see `shaders/sample/reply.wgsl`. */
  readonly reply: GPUBuffer;
  /** `[vocab]` u32: 1 + the last position of each token that a reply's penalty may see, 0 for none. */
  readonly seen: GPUBuffer;
  /** `[tokens of a verifying pass]` u32: the most probable token after each. */
  readonly verdict: GPUBuffer;
  /** Word 0: what the model's own block predicts beyond that. */
  readonly guess: GPUBuffer;
  /** `[max tokens]` f32: log-probabilities of the tokens that follow those of a pass. */
  readonly scores: GPUBuffer;
  matrix(name: string): GpuMatrix;
  table(name: string): GpuTable;
  /** A vector of `width` f32. */
  vector(name: string, width: number): GPUBuffer;
  /** Vectors one after another. */
  vectors(...names: readonly string[]): GPUBuffer;
  kvCache(layer: number): GpuKvCache;
  /** A part of a recurrent layer's state, f32. */
  state(layer: number, part: keyof StateValues): GPUBuffer;
  ropeTable(rope: RopeSpec): GPUBuffer;
  arenas(pool: number): ExpertArenas;
}
