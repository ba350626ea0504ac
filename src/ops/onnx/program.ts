import type { Graph } from "../../onnx/graph.ts";
import type { MoeSpec, RopeSpec } from "../ops.ts";
import type { StateValues } from "../recurrent.ts";

/** Where an input of a graph comes from; the lengths of its axes are those that the graph names. */
export type InputSource =
  /** A value that a graph or the host made before in the pass, under the input's name. */
  | { readonly kind: "value" }
  /** Cosines or sines of the pass's positions: `[tokens, dims / 2]`. */
  | { readonly kind: "angles"; readonly rope: RopeSpec; readonly part: "cos" | "sin" }
  /** What the layer's cache holds that a query of the pass may see: `[keys, width]`, and what its format has besides. */
  | {
      readonly kind: "cache";
      readonly layer: number;
      readonly of: "keys" | "values";
      readonly part: "numbers" | "scales";
    }
  /** Added to scores: 0 for a key that a query sees, otherwise -Infinity. `[tokens, keys]` */
  | { readonly kind: "mask"; readonly layer: number }
  /** The rows that the head is computed for: the last one, or all. `[rows]` */
  | { readonly kind: "rows" }
  /** A part of a recurrent layer's state, as the pass finds it. */
  | { readonly kind: "state"; readonly layer: number; readonly part: keyof StateValues };

/** One end of a graph, and what is behind it. */
export interface GraphInput {
  readonly name: string;
  readonly source: InputSource;
}

/** A graph of the pass between two steps that the host takes. */
export interface GraphStep {
  readonly kind: "graph";
  readonly label: string;
  readonly graph: Graph;
  readonly inputs: readonly GraphInput[];
  /** Outputs that are a recurrent layer's new state. */
  readonly states: readonly {
    readonly name: string;
    readonly layer: number;
    readonly part: keyof StateValues;
  }[];
  /** Bytes of weights that it holds. */
  readonly weightBytes: number;
}

/** What the host does between graphs. Values are named as the graphs name them. */
export type HostStep =
  /** The rows of a table of the pass's tokens, times `scale`. */
  | {
      readonly kind: "embed";
      readonly table: string;
      readonly scale: number;
      readonly width: number;
      readonly to: string;
    }
  /** Appends to a layer's cache; without `values` they are a part of the keys. */
  | {
      readonly kind: "append";
      readonly layer: number;
      readonly keys: string;
      readonly values: string | undefined;
    }
  /** Chooses experts by the logits `[tokens, experts]`; without them by the tokens' ids. */
  | { readonly kind: "choose"; readonly moe: number; readonly logits: string | undefined }
  /** `residual + Σ weight · expert(x)`. `guess`: logits of the next layer's router, for its predictor. */
  | {
      readonly kind: "experts";
      readonly moe: number;
      readonly x: string;
      readonly residual: string | undefined;
      readonly to: string;
      readonly guess: string | undefined;
    };

/** A forward pass, recorded. */
export interface OnnxProgram {
  readonly steps: readonly (GraphStep | HostStep)[];
  readonly moe: readonly MoeSpec[];
  /** The name of the logits: `[rows, vocab]`. */
  readonly logits: string;
}
