import type { Ceilings } from "../gpu/ceilings.ts";
import type { EngineStats } from "./api.ts";

/** What a device was measured to be able to do at most. */
export type { Ceilings };

/** What a profile is made of. */
export interface ProfileOptions {
  /** Tokens in the KV cache before the profiled passes. Default 0. */
  readonly depth?: number;
  /** What the passes compute, again and again where a chunk is longer. Default: ids without a meaning. */
  readonly tokens?: readonly number[];
}

/** Which of a device's ceilings is reached first. */
export type Bound = "bytes" | "multiply-adds" | "dispatches";

/** The least time that a piece of work can take, by each of the device's ceilings. */
export interface Floor {
  readonly bytesMs: number;
  readonly multiplyAddsMs: number;
  readonly dispatchesMs: number;
}

/** All dispatches of one kernel in one layer, or beside the layers. */
export interface KernelRow {
  readonly kernel: string;
  readonly layer?: number;
  /** Dispatches. */
  readonly count: number;
  /** Of all of them. */
  readonly microseconds: number;
  /** The least that they read and write, each number once. */
  readonly bytes: number;
  readonly multiplyAdds: number;
  readonly boundBy: Bound;
  /** The share of its time that the ceiling which bounds it allows for. */
  readonly ofCeiling: number;
}

/** One pass, kernel by kernel. */
export interface PassProfile {
  readonly tokens: number;
  /** Tokens before it. */
  readonly position: number;
  readonly dispatches: number;
  /** Of its kernels, one after another. */
  readonly microseconds: number;
  readonly bytes: number;
  readonly multiplyAdds: number;
  readonly floor: Floor;
  readonly rows: readonly KernelRow[];
}

/** Where a pass's time goes, on this device. */
export interface EngineProfile {
  readonly adapter: string;
  readonly variants: EngineStats["variants"];
  /** By timestamps of the GPU, or by repeating each kernel between two readbacks. */
  readonly method: "timestamp-query" | "repetition";
  readonly ceilings: Ceilings;
  readonly decode: PassProfile;
  /** Of a whole chunk. */
  readonly prefill: PassProfile;
}
