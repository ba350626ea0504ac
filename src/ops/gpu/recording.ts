import { TILE_TOKENS } from "../../kernels/matmul.ts";
import type { GpuResources } from "../gpu-resources.ts";
import type { Activation } from "../ops.ts";
import { Recorder, type Scratch } from "../program.ts";
import type { Pending } from "./lazy.ts";

/** An activation in a scratch buffer. */
export interface GpuTensor extends Activation {
  /** Asked for, it makes a tensor that is still pending be recorded. */
  readonly scratch: Scratch;
  /** What it will be computed of, if it is not recorded yet. */
  readonly pending?: Pending | undefined;
  /** Of a pending one: says that `tensor` is it, which another op has computed on its way. */
  settle?(tensor: GpuTensor): void;
  /** One row, whatever the pass has. */
  readonly single: boolean;
}

/** Weights are read 8 at a time, activations 4. */
export const UNIT_WEIGHTS = 8;

/** Passes of at most so many tokens run the products of experts token by token. */
export const FEW_TOKENS = 8;

/** What the ops record with: the GPU's resources, and the dispatches so far. */
export class Recording {
  readonly gpu: GpuResources;
  readonly recorder: Recorder;
  readonly maxTokens: number;
  /** Blocks of what products have read in blocks. */
  readonly quantised = new Map<GpuTensor, Scratch>();

  constructor(gpu: GpuResources, maxTokens: number) {
    this.gpu = gpu;
    this.recorder = new Recorder(gpu.context);
    this.maxTokens = maxTokens;
  }

  /** Room for an activation of all the pass's tokens, or of one. */
  tensor(width: number, single = false): GpuTensor {
    // Matmul reads tokens by tiles.
    const rows = single ? 1 : Math.ceil(this.maxTokens / TILE_TOKENS) * TILE_TOKENS;
    return { width, single, scratch: this.recorder.scratch(4 * rows * width) };
  }
}
