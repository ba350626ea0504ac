import { SluiceError } from "../../src/errors.ts";
import type { CacheFormat } from "../../src/formats/cache/format.ts";
import type { ModelSpec } from "../../src/models/model.ts";
import type {
  Activation,
  ActivationName,
  AttentionSpec,
  LayerNormOptions,
  Ops,
  RopeSpec,
  Routing,
} from "../../src/ops/ops.ts";
import {
  mambaChannels,
  mambaInner,
  projectedWidth,
  type RecurrentSpec,
  stateValues,
} from "../../src/ops/recurrent.ts";
import { chooseExperts } from "../../src/routing/choose.ts";
import { emptyState, mamba2Token, type ReferenceState, shortConvToken } from "./recurrent.ts";

/** `[tokens, width]`, row-major, in f64. */
export interface ReferenceTensor extends Activation {
  readonly tokens: number;
  readonly data: Float64Array;
}

/** The experts of each token, best first, and their weights: both `[tokens][topK]`. */
export interface ReferenceRouting extends Routing {
  readonly layer: number;
  readonly experts: readonly (readonly number[])[];
  readonly weights: readonly (readonly number[])[];
}

/** A weight: shape as in the model file, data row-major. */
export interface ReferenceWeight {
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array;
}

/** What a pass leaves. */
export interface ReferencePass {
  /** `[vocab]`, of the token after the pass's last. */
  readonly logits: Float64Array;
  /** One for each MoE layer, in order. */
  readonly choices: readonly ReferenceRouting[];
}

/** `Ops` computed at once, in f64, in plain loops: the oracle of the GPU's. */
export interface ReferenceOps extends Ops<ReferenceTensor, ReferenceRouting> {
  /** Runs `spec`'s forward pass on tokens that follow those of the passes before. */
  run(spec: ModelSpec, tokens: readonly number[]): ReferencePass;
  /**
   * Runs the block of `spec` that predicts a further token, for the pass that was run last: `tokens` are those that follow
   * each of its own. -> the logits of the token after them
   */
  runAhead(spec: ModelSpec, tokens: readonly number[]): Float64Array;
}

/** Options of {@link createReferenceOps}. */
export interface ReferenceOptions {
  /** What LongRoPE chooses its factors by. Default: a short context. */
  readonly contextTokens?: number;
  /** What keys and values are rounded to when they are kept. Default: nothing is lost. */
  readonly kvCache?: CacheFormat;
  /** Is told what each op returned, in order, with the tensor (or layer) that tells ops of one kind apart. */
  readonly observe?: (op: keyof Ops, of: string, result: ReferenceTensor) => void;
}

/** @param weights the tensors of the model's file, by name */
export function createReferenceOps(
  weights: (name: string) => ReferenceWeight,
  { contextTokens = 0, kvCache, observe = () => {} }: ReferenceOptions = {},
): ReferenceOps {
  /** For each layer, a row `[kvHeads * headDim]` of keys, or `[kvHeads * valueDim]` of values, for each token so far. */
  const cachedKeys = new Map<number, Float64Array[]>();
  const cachedValues = new Map<number, Float64Array[]>();
  const states = new Map<number, ReferenceState>();
  let tokensBefore = 0;
  let passTokens: readonly number[] = [];
  let choices: ReferenceRouting[] = [];
  let logits: Float64Array | undefined;
  /** What the model ended with. */
  let stream: ReferenceTensor | undefined;

  function weight(name: string, shape: readonly number[]): Float32Array | Float64Array {
    const found = weights(name);
    if (`${found.shape}` !== `${shape}`) {
      throw new SluiceError("shape-mismatch", `${name} is [${found.shape}], wanted [${shape}].`);
    }
    return found.data;
  }

  function stateOf(spec: RecurrentSpec): ReferenceState {
    const state = states.get(spec.layer) ?? emptyState(stateValues(spec).scan ?? 0);
    states.set(spec.layer, state);
    return state;
  }

  /** What a cache keeps of a row of heads. */
  function kept(row: Float64Array, headDim: number): Float64Array {
    return kvCache ? eachPart(row, headDim, (head) => packed(head, kvCache)) : row;
  }

  function done(op: keyof Ops, of: string, result: ReferenceTensor): ReferenceTensor {
    observe(op, of, result);
    return result;
  }

  return {
    run(spec, tokens) {
      passTokens = tokens;
      choices = [];
      logits = undefined;
      spec.forward(this);
      tokensBefore += tokens.length;
      if (!logits) throw new Error("unreachable: the forward pass ended without logits");
      return { logits, choices };
    },

    runAhead(spec, tokens) {
      if (!spec.ahead || stream?.tokens !== tokens.length) {
        throw new Error("unreachable: a block ahead of no pass");
      }
      passTokens = tokens;
      choices = [];
      logits = undefined;
      // The pass before has moved on; the block's positions are its own.
      tokensBefore -= tokens.length;
      spec.ahead.forward(this, stream);
      tokensBefore += tokens.length;
      if (!logits) throw new Error("unreachable: the block ended without logits");
      return logits;
    },

    embed(table, { scale = 1 } = {}) {
      const [vocab, width] = weights(table).shape as [number, number];
      const data = weight(table, [vocab, width]);
      const x = tensor(passTokens.length, width);
      for (const [token, id] of passTokens.entries()) {
        addScaled(row(x, token), data.subarray(id * width, (id + 1) * width), scale);
      }
      return done("embed", table, x);
    },

    rmsNorm(x, name, epsilon, { residual, scale: scaleName } = {}) {
      const weights = weight(name, [x.width]);
      const scale = scaleName === undefined ? 1 : weight(scaleName, [1])[0]!;
      if (residual) expectShape(name, residual, x.tokens, x.width);
      const y = tensor(x.tokens, x.width);
      for (let token = 0; token < x.tokens; token++) {
        const normed = rmsNormed(row(x, token), weights, epsilon);
        addScaled(row(y, token), normed, scale);
        if (residual) addScaled(row(y, token), row(residual, token), scale);
      }
      return done("rmsNorm", name, y);
    },

    layerNorm(x, name, biasName, options) {
      const scale = weight(name, [x.width]);
      const bias = weight(biasName, [x.width]);
      const y = tensor(x.tokens, x.width);
      for (let token = 0; token < x.tokens; token++) {
        row(y, token).set(layerNormed(row(x, token), scale, bias, options));
      }
      return done("layerNorm", name, y);
    },

    concat(a, b) {
      expectShape("concat", b, a.tokens, b.width);
      const y = tensor(a.tokens, a.width + b.width);
      for (let token = 0; token < a.tokens; token++) {
        row(y, token).set(row(a, token));
        row(y, token).set(row(b, token), a.width);
      }
      return done("concat", "", y);
    },

    add(a, b, { gate } = {}) {
      expectShape("b of a sum", b, a.tokens, a.width);
      if (gate) expectShape("the gate of a sum", gate, a.tokens, 1);
      const y = tensor(a.tokens, a.width);
      for (let token = 0; token < a.tokens; token++) {
        row(y, token).set(row(a, token));
        addScaled(row(y, token), row(b, token), gate ? logistic(gate.data[token]!) : 1);
      }
      return done("add", "", y);
    },

    linear(x, name, { bias, scale = 1, residual } = {}) {
      const { shape } = weights(name);
      // A matrix of one row may be stored as a vector.
      const rows = shape.length === 1 ? 1 : shape[0]!;
      const matrix = weight(name, shape.length === 1 ? [x.width] : [rows, x.width]);
      const biases = bias === undefined ? undefined : weight(bias, [rows]);
      if (residual) expectShape(name, residual, x.tokens, rows);
      const y = tensor(x.tokens, rows);
      for (let token = 0; token < x.tokens; token++) {
        const sums = product(matrix, 0, rows, row(x, token));
        if (biases) addScaled(sums, biases, 1);
        addScaled(row(y, token), sums, scale);
        if (residual) addScaled(row(y, token), row(residual, token), 1);
      }
      return done("linear", name, y);
    },

    attention(q, k, v, spec) {
      const { layer, heads, kvHeads, headDim, norm, rope } = spec;
      const name = `layer ${layer}`;
      const valueDim = spec.valueDim ?? headDim;
      const widths = [heads * headDim, kvHeads * headDim, kvHeads * valueDim] as const;
      const parts = spec.fused === undefined ? { q, k, v } : split(q, widths);
      expectShape(name, parts.q, passTokens.length, widths[0]);
      expectShape(name, parts.k, passTokens.length, widths[1]);
      if (!spec.valuesInKeys) expectShape(name, parts.v, passTokens.length, widths[2]);
      const keys = cachedKeys.get(layer) ?? [];
      const values = cachedValues.get(layer) ?? [];
      cachedKeys.set(layer, keys);
      cachedValues.set(layer, values);

      const normWidth = (x: ReferenceTensor) => (norm?.over === "head" ? headDim : x.width);
      const normQ = norm && weight(norm.q, [normWidth(parts.q)]);
      const normK = norm && weight(norm.k, [normWidth(parts.k)]);
      const sinks = spec.sinks === undefined ? undefined : weight(spec.sinks, [heads]);
      const isLong = rope?.longFactors && contextTokens > rope.longFactors.beyondTokens;
      const factorsName = isLong ? rope.longFactors?.tensor : rope?.factors;
      const factors = rope && factorsName ? weight(factorsName, [rope.dims / 2]) : undefined;
      const prepare = (x: Float64Array, position: number, scale?: ArrayLike<number>) => {
        const epsilon = norm?.epsilon ?? 0;
        const normed = scale
          ? eachPart(x, scale.length, (part) => rmsNormed(part, scale, epsilon))
          : x;
        return rope
          ? eachPart(normed, headDim, (head) => rotated(head, position, rope, factors))
          : normed;
      };

      const unit = (part: Float64Array) =>
        rmsNormed(part, new Float64Array(valueDim).fill(1), norm?.epsilon ?? 0);

      const y = tensor(q.tokens, heads * valueDim);
      for (let token = 0; token < q.tokens; token++) {
        const position = tokensBefore + token;
        const key = kept(prepare(row(parts.k, token), position, normK || undefined), headDim);
        keys.push(key);
        const ofKey = (_: unknown, i: number) =>
          key[Math.floor(i / valueDim) * headDim + (i % valueDim)]!;
        const value = spec.valuesInKeys
          ? Float64Array.from({ length: widths[2] }, ofKey)
          : row(parts.v, token).slice();
        const normed = norm?.ofValues ? eachPart(value, valueDim, unit) : value;
        values.push(spec.valuesInKeys ? normed : kept(normed, valueDim));
        const query = prepare(row(parts.q, token), position, normQ);
        row(y, token).set(attended(query, keys, values, spec, sinks));
      }
      return done("attention", name, y);
    },

    shortConv(x, spec) {
      const { filter, channels, taps } = spec;
      expectShape(filter, x, passTokens.length, projectedWidth(spec));
      const filters = weight(filter, [channels, taps]);
      const y = tensor(x.tokens, channels);
      for (let token = 0; token < x.tokens; token++) {
        row(y, token).set(shortConvToken(row(x, token), spec, filters, stateOf(spec)));
      }
      return done("shortConv", `layer ${spec.layer}`, y);
    },

    mamba2(x, spec) {
      const { heads, groups, taps } = spec;
      const [inner, channels] = [mambaInner(spec), mambaChannels(spec)];
      expectShape(spec.filter, x, passTokens.length, projectedWidth(spec));
      const own = {
        filter: weight(spec.filter, [channels, taps]),
        filterBias: weight(spec.filterBias, [channels]),
        timeBias: weight(spec.timeBias, [heads]),
        decay: weight(spec.decay, [heads, 1]),
        skip: weight(spec.skip, [heads, 1]),
        norm: weight(spec.norm, [groups, inner / groups]),
      };
      const y = tensor(x.tokens, inner);
      for (let token = 0; token < x.tokens; token++) {
        row(y, token).set(mamba2Token(row(x, token), spec, own, stateOf(spec)));
      }
      return done("mamba2", `layer ${spec.layer}`, y);
    },

    headLinear(x, name, { heads, rows, transposed = false }) {
      const { shape } = weights(name);
      const data = weight(name, shape);
      const cols = shape.at(-1)!;
      const headRows = data.length / cols / heads;
      const { first, count } = rows ?? { first: 0, count: headRows };
      const [inWidth, outWidth] = transposed ? [count, cols] : [cols, count];
      const share = x.width / heads;
      const y = tensor(x.tokens, heads * outWidth);
      for (let part = 0; part < x.tokens * heads; part++) {
        const input = x.data.subarray(part * share, part * share + inWidth);
        const start = ((part % heads) * headRows + first) * cols;
        const matrix = data.subarray(start, start + count * cols);
        const output = transposed
          ? transposedProduct(matrix, input, cols)
          : product(matrix, 0, count, input);
        y.data.set(output, part * outWidth);
      }
      return done("headLinear", name, y);
    },

    latentAttention({ q, absorbed, kv }, spec) {
      const { layer, heads, headDim, valueDim, rope, latent } = spec;
      const name = `layer ${layer}`;
      expectShape(name, absorbed, passTokens.length, heads * valueDim);
      expectShape(name, kv, passTokens.length, headDim);
      const keys = cachedKeys.get(layer) ?? [];
      cachedKeys.set(layer, keys);
      const norm = weight(latent.norm, [valueDim]);
      const share = q.width / heads;
      const y = tensor(q.tokens, heads * valueDim);
      for (let token = 0; token < q.tokens; token++) {
        const position = tokensBefore + token;
        const key = row(kv, token).slice();
        key.set(rmsNormed(key.slice(0, valueDim), norm, latent.epsilon));
        keys.push(kept(rotated(key, position, rope), headDim));
        const query = new Float64Array(heads * headDim);
        for (let head = 0; head < heads; head++) {
          const start = head * headDim;
          const ownEnd = (head + 1) * share;
          query.set(row(absorbed, token).subarray(head * valueDim, (head + 1) * valueDim), start);
          query.set(row(q, token).subarray(ownEnd - rope.dims, ownEnd), start + valueDim);
        }
        const turned = eachPart(query, headDim, (head) => rotated(head, position, rope));
        const values = keys.map((each) => each.subarray(0, valueDim));
        row(y, token).set(attended(turned, keys, values, spec, undefined));
      }
      return done("latentAttention", name, y);
    },

    softcap(x, cap) {
      const y = tensor(x.tokens, x.width);
      y.data.set(x.data.map((value) => cap * Math.tanh(value / cap)));
      return done("softcap", "", y);
    },

    gatedUnit(gate, up, activation) {
      expectShape("gatedUnit", up, gate.tokens, gate.width);
      const y = tensor(gate.tokens, gate.width);
      y.data.set(gated(gate.data, up.data, activation));
      return done("gatedUnit", activation, y);
    },

    route(x, spec) {
      const router = weight(spec.router, [spec.experts, x.width]);
      const ofExperts = (name: string | undefined) =>
        name === undefined ? undefined : weight(name, [spec.experts]);
      const bias = ofExperts(spec.routerBias);
      const vectors = {
        selectionBias: ofExperts(spec.selectionBias),
        scale: ofExperts(spec.expertScale),
      };
      const chosen = Array.from({ length: x.tokens }, (_, token) => {
        const logits = product(router, 0, spec.experts, row(x, token));
        if (bias) addScaled(logits, bias, 1);
        const scaled = logits.map((logit) => logit * (spec.logitScale ?? 1));
        return chooseExperts(scaled, spec, vectors);
      });
      const choice: ReferenceRouting = {
        layer: spec.layer,
        topK: spec.topK,
        experts: chosen.map(({ experts }) => experts),
        weights: chosen.map((each) => each.weights),
      };
      choices.push(choice);
      return choice;
    },

    routeByToken({ layer, router, topK, scale }) {
      const [vocab] = weights(router).shape as [number];
      const table = weight(router, [vocab, topK]);
      const choice: ReferenceRouting = {
        layer,
        topK,
        experts: passTokens.map((id) => [...table.subarray(id * topK, (id + 1) * topK)]),
        weights: passTokens.map(() => new Array<number>(topK).fill(scale / topK)),
      };
      choices.push(choice);
      return choice;
    },

    experts(x, choice, spec, { residual } = {}) {
      const { experts, ffn, hidden, gateBias, upBias, downBias } = spec;
      expectShape(spec.gate, x, x.tokens, hidden);
      if (residual) expectShape(spec.gate, residual, x.tokens, hidden);
      const gates = weight(spec.gate, [experts, ffn, hidden]);
      const ups = weight(spec.up, [experts, ffn, hidden]);
      const downs = weight(spec.down, [experts, hidden, ffn]);
      const biases = {
        gate: gateBias === undefined ? undefined : weight(gateBias, [experts, ffn]),
        up: upBias === undefined ? undefined : weight(upBias, [experts, ffn]),
        down: downBias === undefined ? undefined : weight(downBias, [experts, hidden]),
      };
      const y = tensor(x.tokens, hidden);
      for (let token = 0; token < x.tokens; token++) {
        const input = row(x, token);
        if (residual) row(y, token).set(row(residual, token));
        for (const [k, expert] of choice.experts[token]!.entries()) {
          const gate = product(gates, expert * ffn * hidden, ffn, input);
          const up = product(ups, expert * ffn * hidden, ffn, input);
          if (biases.gate) addScaled(gate, biases.gate.subarray(expert * ffn), 1);
          if (biases.up) addScaled(up, biases.up.subarray(expert * ffn), 1);
          const inner = gated(gate, up, spec.activation);
          const output = product(downs, expert * hidden * ffn, hidden, inner);
          if (biases.down) addScaled(output, biases.down.subarray(expert * hidden), 1);
          addScaled(row(y, token), output, choice.weights[token]![k]!);
        }
      }
      return done("experts", `layer ${spec.layer}`, y);
    },

    lastToken(x) {
      stream = x;
      const y = tensor(1, x.width);
      y.data.set(row(x, x.tokens - 1));
      return done("lastToken", "", y);
    },

    logits(x) {
      logits = x.data;
    },
  };
}

function tensor(tokens: number, width: number): ReferenceTensor {
  return { tokens, width, data: new Float64Array(tokens * width) };
}

/** A view of one token's row. */
function row(x: ReferenceTensor, token: number): Float64Array {
  return x.data.subarray(token * x.width, (token + 1) * x.width);
}

function expectShape(name: string, x: ReferenceTensor, tokens: number, width: number): void {
  if (x.tokens === tokens && x.width === width) return;
  throw new SluiceError(
    "shape-mismatch",
    `${name}: an activation is [${x.tokens}, ${x.width}], wanted [${tokens}, ${width}].`,
  );
}

/** A head as a cache gives it back. */
function packed(head: Float64Array, format: CacheFormat): Float64Array {
  const padded = new Float32Array(Math.ceil(head.length / format.headNumbers) * format.headNumbers);
  padded.set(head);
  return Float64Array.from(format.decode(format.encode(padded)).subarray(0, head.length));
}

/** `f` of each run of `width` values. */
function eachPart(
  x: Float64Array,
  width: number,
  f: (part: Float64Array) => Float64Array,
): Float64Array {
  const y = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += width)
    y.set(f(x.slice(start, start + width)), start);
  return y;
}

/** `to += x * scale` */
function addScaled(to: Float64Array, x: ArrayLike<number>, scale: number): void {
  for (let i = 0; i < to.length; i++) to[i]! += x[i]! * scale;
}

/** `W x` for the matrix `[rows, x.length]` that starts at weight `start`. */
function product(
  weights: ArrayLike<number>,
  start: number,
  rows: number,
  x: Float64Array,
): Float64Array {
  const y = new Float64Array(rows);
  for (let r = 0; r < rows; r++) {
    let sum = 0;
    for (let c = 0; c < x.length; c++) sum += weights[start + r * x.length + c]! * x[c]!;
    y[r] = sum;
  }
  return y;
}

/** `Wᵀ x` for the matrix `[x.length, cols]`. */
function transposedProduct(
  weights: ArrayLike<number>,
  x: ArrayLike<number>,
  cols: number,
): Float64Array {
  const y = new Float64Array(cols);
  for (let r = 0; r < x.length; r++) {
    for (let c = 0; c < cols; c++) y[c]! += weights[r * cols + c]! * x[r]!;
  }
  return y;
}

/** `x / sqrt(mean(x²) + epsilon) * weight` */
export function rmsNormed(
  x: Float64Array,
  weight: ArrayLike<number>,
  epsilon: number,
): Float64Array {
  let squares = 0;
  for (const value of x) squares += value * value;
  const scale = 1 / Math.sqrt(squares / x.length + epsilon);
  return x.map((value, i) => value * scale * weight[i]!);
}

/** `(x - mean) / sqrt(variance + epsilon) * weight + bias`, the mean being 0 unless `centred` */
export function layerNormed(
  x: Float64Array,
  weight: ArrayLike<number>,
  bias: ArrayLike<number>,
  { epsilon, centred = true }: LayerNormOptions,
): Float64Array {
  const mean = centred ? x.reduce((a, b) => a + b, 0) / x.length : 0;
  const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
  const scale = 1 / Math.sqrt(variance + epsilon);
  return x.map((value, i) => (value - mean) * scale * weight[i]! + bias[i]!);
}

/** One head rotated to its position. x `[headDim]`, factors `[rope.dims / 2]` */
export function rotated(
  x: Float64Array,
  position: number,
  rope: RopeSpec,
  factors?: ArrayLike<number>,
): Float64Array {
  const { dims, first = 0, magnitude = 1 } = rope;
  const y = x.slice();
  for (let i = 0; i < dims / 2; i++) {
    const angle = (position * ropeFrequency(rope, i)) / (factors?.[i] ?? 1);
    const [a, b] =
      rope.pairing === "interleaved"
        ? [first + 2 * i, first + 2 * i + 1]
        : [first + i, first + i + dims / 2];
    y[a] = magnitude * (x[a]! * Math.cos(angle) - x[b]! * Math.sin(angle));
    y[b] = magnitude * (x[a]! * Math.sin(angle) + x[b]! * Math.cos(angle));
  }
  return y;
}

/** Radians that pair `i` turns from a token to the next, without factors. */
function ropeFrequency({ base, dims, scale = 1, yarn }: RopeSpec, i: number): number {
  const own = base ** ((-2 * i) / dims);
  if (!yarn) return own / scale;
  // A pair turns r times in the original context when r = tokens * base^(-2i / dims) / 2π: that, solved for i.
  const pairThatTurns = (r: number) =>
    (dims / 2) * (Math.log(yarn.originalTokens / (2 * Math.PI * r)) / Math.log(base));
  const low = Math.max(0, Math.floor(pairThatTurns(yarn.betaFast)));
  const high = Math.min(dims - 1, Math.ceil(pairThatTurns(yarn.betaSlow)));
  const interpolated = Math.min(1, Math.max(0, (i - low) / Math.max(0.001, high - low)));
  const kept = (1 - interpolated) * yarn.extrapolation;
  return kept * own + (1 - kept) * (own / scale);
}

/** The last key's query over all keys. query `[heads * headDim]`, keys and values a row for each token, sinks `[heads]` */
function attended(
  query: Float64Array,
  keys: readonly Float64Array[],
  values: readonly Float64Array[],
  spec: AttentionSpec,
  sinks: ArrayLike<number> | undefined,
): Float64Array {
  const { heads, kvHeads, headDim, scale, softcap, window = Number.POSITIVE_INFINITY } = spec;
  const valueDim = spec.valueDim ?? headDim;
  const y = new Float64Array(heads * valueDim);
  const first = Math.max(0, keys.length - window);
  for (let head = 0; head < heads; head++) {
    const kvHead = Math.floor(head / (heads / kvHeads));
    const scores: number[] = [];
    for (let key = first; key < keys.length; key++) {
      let sum = 0;
      for (let d = 0; d < headDim; d++)
        sum += query[head * headDim + d]! * keys[key]![kvHead * headDim + d]!;
      const score = sum * scale;
      scores.push(softcap === undefined ? score : softcap * Math.tanh(score / softcap));
    }
    const sink = sinks?.[head] ?? Number.NEGATIVE_INFINITY;
    const max = Math.max(sink, ...scores);
    const exps = scores.map((score) => Math.exp(score - max));
    const total = exps.reduce((a, b) => a + b, Math.exp(sink - max));
    for (const [i, exp] of exps.entries()) {
      const value = values[first + i]!;
      for (let d = 0; d < valueDim; d++) {
        y[head * valueDim + d]! += (exp / total) * value[kvHead * valueDim + d]!;
      }
    }
  }
  return y;
}

/** q, k and v, where they stand side by side in each token's row. */
function split(x: ReferenceTensor, widths: readonly [number, number, number]) {
  const [q, k, v] = widths.map((width, index) => {
    const first = widths.slice(0, index).reduce((sum, other) => sum + other, 0);
    const part = tensor(x.tokens, width);
    for (let token = 0; token < x.tokens; token++) {
      row(part, token).set(row(x, token).subarray(first, first + width));
    }
    return part;
  }) as [ReferenceTensor, ReferenceTensor, ReferenceTensor];
  return { q, k, v };
}

function gated(gate: Float64Array, up: Float64Array, activation: ActivationName): Float64Array {
  return gate.map((value, i) => gatedUnits[activation](value, up[i]!));
}

function logistic(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** The gated units of the activation functions, in f64. */
export const gatedUnits = {
  silu: (gate, up) => gate * logistic(gate) * up,
  relu: (gate, up) => Math.max(0, gate) * up,
  gelu: (gate, up) => {
    const inner = Math.sqrt(2 / Math.PI) * (gate + 0.044715 * gate ** 3);
    return 0.5 * gate * (1 + Math.tanh(inner)) * up;
  },
  "swiglu-oai": (gate, up) => {
    const x = Math.min(gate, 7);
    const y = Math.max(-7, Math.min(up, 7));
    return x * logistic(1.702 * x) * (y + 1);
  },
} as const satisfies Record<ActivationName, (gate: number, up: number) => number>;
