import type { WeightFormat } from "../formats/format.ts";
import type { GpuContext } from "../gpu/device.ts";
import type { Variant } from "../kernels/parts.ts";
import type { RopeSpec } from "./ops.ts";
import type { StateValues } from "./recurrent.ts";

/** A matrix on the GPU, in its format's planes. */
export interface GpuMatrix {
  readonly buffer: GPUBuffer;
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
  readonly downFormat: WeightFormat;
  readonly arenas: readonly GPUBuffer[];
}

/** Everything on the GPU that a program binds; the engine owns all of it. Look-ups throw "shape-mismatch". */
export interface GpuResources {
  readonly context: GpuContext;
  readonly variant: Variant;
  readonly contextTokens: number;
  /** `control` block: see `shaders/control/read.wgsl`. */
  readonly control: GPUBuffer;
  /** `[pools, experts]` u32. */
  readonly pageTable: GPUBuffer;
  /** First word of a pool in the page table. */
  pageFirst(pool: number): number;
  /** Word 0: the most probable next token. */
  readonly result: GPUBuffer;
  /** `[max tokens]` f32: log-probabilities of the tokens that follow those of a pass. */
  readonly scores: GPUBuffer;
  matrix(name: string): GpuMatrix;
  table(name: string): GpuTable;
  /** A vector of `width` f32. */
  vector(name: string, width: number): GPUBuffer;
  /** Vectors one after another. */
  vectors(...names: readonly string[]): GPUBuffer;
  kvCache(layer: number): GPUBuffer;
  /** A part of a recurrent layer's state, f32. */
  state(layer: number, part: keyof StateValues): GPUBuffer;
  ropeTable(rope: RopeSpec): GPUBuffer;
  arenas(pool: number): ExpertArenas;
}
