import type { Activation, AttentionSpec, MoeSpec, Ops, Routing } from "../ops/ops.ts";
import type { RecurrentSpec } from "../ops/recurrent.ts";

/** A tensor that a model needs, as it must stand in the file. */
export interface TensorSpec {
  readonly name: string;
  /** Row-major: `[rows, cols]`, or `[experts, rows, cols]`. */
  readonly shape: readonly number[];
  /** A table of ids, whole numbers below this, stored as I32 or F32; undefined for weights. */
  readonly idsBelow?: number;
  /** Decoded to f32 when it is loaded, as vectors are: a small tensor. It may be a vector or a matrix to what reads it. */
  readonly decoded?: boolean;
}

/** A model, read from a file's metadata: everything that loading, planning memory and running need to know. */
export interface ModelSpec {
  readonly architecture: string;
  readonly layers: number;
  readonly hidden: number;
  readonly vocab: number;
  /** Longest context that the model was trained for, in tokens. */
  readonly contextTokens: number;
  /** One for each layer that attends, then those beside the layers; each has a KV cache. */
  readonly attention: readonly AttentionSpec[];
  /** One for each layer with a recurrent state; a history with such a state cannot be cut back. */
  readonly recurrent: readonly RecurrentSpec[];
  /** One for each MoE layer, in order; empty for a dense model. */
  readonly moe: readonly MoeSpec[];
  /** Tensors that every token needs: they stay on the GPU. */
  readonly resident: readonly TensorSpec[];
  /** Stacked expert matrices, which the expert cache pages. */
  readonly stacked: readonly TensorSpec[];
  /** The block that predicts the token after the next one, where the file has it. Undefined: there is none. */
  readonly ahead?: AheadSpec;
  /** Records the forward pass of one chunk of tokens. */
  forward<Tensor extends Activation, Choice extends Routing>(ops: Ops<Tensor, Choice>): void;
}

/**
 * A block behind the model that predicts one token more (multi-token prediction). It is loaded and run only to draft:
 * see {@link withAhead}.
 */
export interface AheadSpec extends Pick<ModelSpec, "attention" | "moe" | "resident" | "stacked"> {
  /**
   * Records the block for a pass whose tokens are those that follow the model's: they are embedded, joined with the
   * stream, and end in the logits of the token after them. stream `[tokens, hidden]`: the residual stream that the
   * model ended with.
   */
  forward<Tensor extends Activation, Choice extends Routing>(
    ops: Ops<Tensor, Choice>,
    stream: Tensor,
  ): void;
}

/** The model with the layers and tensors of its block behind its own ones, or without the block. */
export function withAhead(spec: ModelSpec, wanted: boolean): ModelSpec {
  const { ahead, ...model } = spec;
  if (!wanted || !ahead) return model;
  const own = new Set(spec.resident.map(({ name }) => name));
  return {
    ...spec,
    attention: [...spec.attention, ...ahead.attention],
    moe: [...spec.moe, ...ahead.moe],
    resident: [...spec.resident, ...ahead.resident.filter(({ name }) => !own.has(name))],
    stacked: [...spec.stacked, ...ahead.stacked],
  };
}

/** The MoE layers of the model itself, without those of its block. */
export function ownMoe({ moe, ahead }: Pick<ModelSpec, "moe" | "ahead">): ModelSpec["moe"] {
  return ahead ? moe.slice(0, moe.length - ahead.moe.length) : moe;
}

/** The metadata of a model file, by key. Getters throw "bad-file" with the key, what was wanted and what was got. */
export interface ModelMetadata {
  number(key: string): number;
  optionalNumber(key: string): number | undefined;
  /** For keys that hold one number for all layers or one for each. */
  optionalNumberOrArray(key: string): number | readonly number[] | undefined;
  optionalBooleans(key: string): readonly boolean[] | undefined;
  optionalBoolean(key: string): boolean | undefined;
  optionalString(key: string): string | undefined;
}

/** What a reader of an architecture may look at: no bytes. */
export interface ModelFile {
  readonly metadata: ModelMetadata;
  /** Shape (row-major) of a tensor; undefined when the file does not have it. */
  shape(tensor: string): readonly number[] | undefined;
}

/**
 * Whose rules count where llama.cpp, for which files are made, computes otherwise than the code that a model was
 * published with: see `phimoe`.
 */
export const modelRules = ["published", "llama.cpp"] as const;
export type ModelRules = (typeof modelRules)[number];

/** One architecture: reads the metadata of a file and says how the model computes. */
export interface Architecture {
  /**
   * Reads keys, and asks for tensors only where they are optional or tell a size: the others are checked once the spec
   * has named them. Throws "unsupported-model" or "bad-file" with a sentence that names the key or tensor.
   */
  read(file: ModelFile, rules: ModelRules): ModelSpec;
}
