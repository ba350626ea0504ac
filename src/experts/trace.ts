import type { RouterInput } from "./predictors/predictor.ts";

/** The experts that every token chose, in the order in which they were computed, and on what they were served. */
export interface RoutingTrace extends TraceShape {
  /** For each position: its token, and `layers.length * topK` expert ids, layer by layer, best score first. */
  readonly tokens: readonly { readonly token: number; readonly experts: readonly number[] }[];
  /** Tokens of each pass, in order; they add up to `tokens.length`. Absent in version 1. */
  readonly passes?: readonly number[];
}

/** What a trace says of the model and of the run, apart from its tokens. */
export interface TraceShape {
  readonly topK: number;
  readonly experts: number;
  /** Layer numbers of the MoE layers, in order. */
  readonly layers: readonly number[];
  /** The pool of each MoE layer. Default: each has its own. */
  readonly pools?: readonly number[];
  /** Bytes of a record, for each pool. */
  readonly recordBytes?: readonly number[];
  /** Whether every slot had been filled, as `nextFill` fills them, before the first pass. Default: all were empty. */
  readonly filled?: boolean;
  /** What the routers read. */
  readonly routerInput?: RouterInput;
}

/** The pool of each MoE layer of a trace. */
export function poolsOf({ pools, layers }: TraceShape): readonly number[] {
  return pools ?? layers.map((_, moe) => moe);
}

/** One pass of a trace. */
export interface TracedPass {
  readonly tokens: readonly number[];
  /** For each MoE layer its chosen experts `[tokens, topK]`. */
  readonly ids: readonly Uint32Array[];
}

/** The passes of a trace, in order; where it does not tell them, one token each. */
export function* passesOf(trace: RoutingTrace): Generator<TracedPass> {
  const { topK, layers, tokens } = trace;
  let start = 0;
  for (const count of trace.passes ?? tokens.map(() => 1)) {
    const positions = tokens.slice(start, start + count);
    const ids = layers.map((_, moe) =>
      Uint32Array.from(
        positions.flatMap(({ experts }) => experts.slice(moe * topK, (moe + 1) * topK)),
      ),
    );
    yield { tokens: positions.map(({ token }) => token), ids };
    start += count;
  }
}

/** Collects a {@link RoutingTrace} pass by pass. */
export class TraceRecorder {
  readonly #shape: TraceShape;
  readonly #tokens: RoutingTrace["tokens"][number][] = [];
  readonly #passes: number[] = [];

  constructor(shape: TraceShape) {
    this.#shape = copyOf(shape);
  }

  /**
   * Records one pass that was computed to its end.
   *
   * @param tokens the pass's token ids
   * @param ids for each MoE layer, in order, its chosen experts `[tokens, topK]`
   */
  record(tokens: ArrayLike<number>, ids: readonly ArrayLike<number>[]): void {
    const { topK, layers } = this.#shape;
    const fits = ids.every((layerIds) => layerIds.length === tokens.length * topK);
    if (ids.length !== layers.length || !fits) {
      throw new Error(`unreachable: a pass of ${tokens.length} tokens with other ids than its own`);
    }
    if (tokens.length === 0) return;
    this.#passes.push(tokens.length);
    for (let position = 0; position < tokens.length; position++) {
      const experts: number[] = [];
      for (const layerIds of ids) {
        for (let k = 0; k < topK; k++) experts.push(layerIds[position * topK + k]!);
      }
      this.#tokens.push({ token: tokens[position]!, experts });
    }
  }

  /** What was recorded so far; later records don't change it. */
  trace(): RoutingTrace {
    return { ...this.#shape, tokens: [...this.#tokens], passes: [...this.#passes] };
  }
}

/** A copy that shares no list with `shape`. */
function copyOf(shape: TraceShape): TraceShape {
  const { layers, pools, recordBytes } = shape;
  return {
    ...shape,
    layers: [...layers],
    ...(pools && { pools: [...pools] }),
    ...(recordBytes && { recordBytes: [...recordBytes] }),
  };
}
