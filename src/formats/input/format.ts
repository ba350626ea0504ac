import type { GpuContext } from "../../gpu/device.ts";

/** Numbers of an input that share a scale. */
export const BLOCK_NUMBERS = 32;

/** What a unit may need of a device that not all have. */
export type UnitDevice = Pick<GpuContext, "packedDot" | "halves">;

/**
 * A way to keep what products of weights read: in blocks of {@link BLOCK_NUMBERS} numbers with a scale, which `quantise`
 * makes once for all products of one input.
 */
export interface InputFormat {
  /** Bytes of a block: its numbers, and 16 of what is known of them. A multiple of 16. */
  readonly blockBytes: number;
  /** WGSL with `store_block`, and the parts that it calls. See `shaders/linear/store/bytes.wgsl`. */
  readonly write: string;
  /** How products read such blocks, the best way first; a device takes the first that it can. */
  readonly units: Readonly<Record<string, BlockUnit>>;
}

/** What products read at a time, of an input in blocks and of weights. */
export interface BlockUnit {
  /** WGSL with `input_unit`, `unit_dot` and their types, and the parts that it calls. See `shaders/linear/unit`. */
  readonly parts: readonly string[];
  /** Whether weights are read in blocks of integers, or otherwise as numbers. */
  readonly integers: boolean;
  readonly needs?: keyof UnitDevice;
}
