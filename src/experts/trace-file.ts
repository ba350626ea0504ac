import { SluiceError } from "../errors.ts";
import type { RouterInput } from "./predictors/predictor.ts";
import type { RoutingTrace, TraceShape } from "./trace.ts";

/** Version 2 added what a simulation needs besides the choices: passes, pools, bytes, the state at the start. */
const TRACE_VERSION = 2;
const READABLE_VERSIONS: readonly unknown[] = [1, TRACE_VERSION];

const ROUTER_INPUTS: readonly unknown[] = [
  "pre-attention",
  "previous-layer",
  "decoupled",
  "token",
  "post-attention",
] satisfies RouterInput[];

/** A trace as JSON text; a row of `tokens` is the token and then its experts. */
export function serializeTrace(trace: RoutingTrace): string {
  const { tokens, ...shape } = trace;
  const rows = tokens.map(({ token, experts }) => [token, ...experts]);
  return JSON.stringify({ version: TRACE_VERSION, ...shape, tokens: rows });
}

/** Reads what {@link serializeTrace} wrote, now or in version 1. Throws "bad-file" when the text is anything else. */
export function parseTrace(text: string): RoutingTrace {
  const fields = parseObject(text);
  if (!READABLE_VERSIONS.includes(fields.version)) {
    throw badTrace(`its version is ${fields.version}, not 1 or ${TRACE_VERSION}`);
  }
  const shape = readShape(fields);
  const tokens = readTokens(fields.tokens, shape);
  return { ...shape, tokens, ...readPasses(fields.passes, tokens.length) };
}

function readShape(fields: Record<string, unknown>): TraceShape {
  const { topK, experts, layers } = fields;
  if (!isCount(topK) || !isCount(experts)) throw badTrace("topK or experts is not a count");
  if (!isCounts(layers)) throw badTrace("layers is not a list of layer numbers");
  const pools = readPools(fields.pools, layers.length);
  const poolCount = pools ? Math.max(0, ...pools.map((pool) => pool + 1)) : layers.length;
  return {
    topK,
    experts,
    layers,
    ...(pools && { pools }),
    ...readRecordBytes(fields.recordBytes, poolCount),
    ...readRun(fields),
  };
}

function readPools(pools: unknown, layers: number): readonly number[] | undefined {
  if (pools === undefined) return undefined;
  if (!isCounts(pools) || pools.length !== layers || pools.some((pool) => pool >= layers)) {
    throw badTrace(`pools is not a list of ${layers} pool numbers below ${layers}`);
  }
  return pools;
}

function readRecordBytes(recordBytes: unknown, pools: number): Pick<TraceShape, "recordBytes"> {
  if (recordBytes === undefined) return {};
  if (!isCounts(recordBytes) || recordBytes.length !== pools || recordBytes.includes(0)) {
    throw badTrace(`recordBytes is not a list of ${pools} numbers of bytes`);
  }
  return { recordBytes };
}

function readRun({ filled, routerInput }: Record<string, unknown>): Partial<TraceShape> {
  if (filled !== undefined && typeof filled !== "boolean") {
    throw badTrace("filled is not true or false");
  }
  if (routerInput !== undefined && !ROUTER_INPUTS.includes(routerInput)) {
    throw badTrace(`routerInput is not one of ${ROUTER_INPUTS.join(", ")}`);
  }
  return {
    ...(filled !== undefined && { filled }),
    ...(routerInput !== undefined && { routerInput: routerInput as RouterInput }),
  };
}

function readTokens(tokens: unknown, { topK, experts, layers }: TraceShape) {
  if (!Array.isArray(tokens)) throw badTrace("tokens is not a list");
  const width = 1 + layers.length * topK;
  return tokens.map((row: unknown, position) => {
    if (!isCounts(row) || row.length !== width) {
      throw badTrace(`position ${position} is not a list of ${width} numbers`);
    }
    const [token, ...chosen] = row;
    const stray = chosen.find((expert) => expert >= experts);
    if (stray !== undefined) {
      throw badTrace(`position ${position} names expert ${stray} of ${experts}`);
    }
    return { token: token!, experts: chosen };
  });
}

function readPasses(passes: unknown, tokens: number): Pick<RoutingTrace, "passes"> {
  if (passes === undefined) return {};
  const sum = isCounts(passes) ? passes.reduce((total, count) => total + count, 0) : -1;
  if (!isCounts(passes) || passes.includes(0) || sum !== tokens) {
    throw badTrace(`passes is not a list of token counts that add up to ${tokens}`);
  }
  return { passes };
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
    { cause },
  );
}
