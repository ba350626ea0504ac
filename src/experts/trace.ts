import { SluiceError } from "../errors.ts";

const TRACE_VERSION = 1;

/** The experts that every token chose, in the order in which they were computed. */
export interface RoutingTrace {
  readonly topK: number;
  readonly experts: number;
  /** Layer numbers of the MoE layers, in order. */
  readonly layers: readonly number[];
  /** For each position: its token, and `layers.length * topK` expert ids, layer by layer, best score first. */
  readonly tokens: readonly { readonly token: number; readonly experts: readonly number[] }[];
}

/** Collects a {@link RoutingTrace} pass by pass. */
export class TraceRecorder {
  readonly #shape: Omit<RoutingTrace, "tokens">;
  readonly #tokens: RoutingTrace["tokens"][number][] = [];

  constructor({ topK, experts, layers }: Omit<RoutingTrace, "tokens">) {
    this.#shape = { topK, experts, layers: [...layers] };
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
    return { ...this.#shape, tokens: [...this.#tokens] };
  }
}

/** A trace as JSON text; a row of `tokens` is the token and then its experts. */
export function serializeTrace(trace: RoutingTrace): string {
  const { topK, experts, layers } = trace;
  const tokens = trace.tokens.map(({ token, experts: chosen }) => [token, ...chosen]);
  return JSON.stringify({ version: TRACE_VERSION, topK, experts, layers, tokens });
}

/** Reads what {@link serializeTrace} wrote. Throws "bad-file" when the text is anything else. */
export function parseTrace(text: string): RoutingTrace {
  const { version, topK, experts, layers, tokens } = parseObject(text);
  if (version !== TRACE_VERSION) throw badTrace(`its version is ${version}, not ${TRACE_VERSION}`);
  if (!isCount(topK) || !isCount(experts)) throw badTrace("topK or experts is not a count");
  if (!isCounts(layers)) throw badTrace("layers is not a list of layer numbers");
  if (!Array.isArray(tokens)) throw badTrace("tokens is not a list");

  const width = 1 + layers.length * topK;
  return {
    topK,
    experts,
    layers,
    tokens: tokens.map((row: unknown, position) => {
      if (!isCounts(row) || row.length !== width) {
        throw badTrace(`position ${position} is not a list of ${width} numbers`);
      }
      const [token, ...chosen] = row;
      const stray = chosen.find((expert) => expert >= experts);
      if (stray !== undefined)
        throw badTrace(`position ${position} names expert ${stray} of ${experts}`);
      return { token: token!, experts: chosen };
    }),
  };
}

function parseObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw badTrace("it is not JSON", cause);
  }
  if (typeof value !== "object" || value === null) throw badTrace("it is not a JSON object");
  return value as Record<string, unknown>;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every(isCount);
}

function badTrace(reason: string, cause?: unknown): SluiceError {
  return new SluiceError(
    "bad-file",
    `This is not a routing trace: ${reason}. Record one with trace: true.`,
    {
      cause,
    },
  );
}
