import { throwIfAborted } from "../../errors.ts";
import { nextTask } from "../../next-task.ts";
import type { CompiledGraph, HostTensor } from "../../onnx/runtime.ts";
import type { GraphStep, HostStep, InputSource } from "../../ops/onnx/program.ts";
import type { RopeSpec } from "../../ops/ops.ts";
import { chooseExperts, type ExpertVectors } from "../../routing/choose.ts";
import { type PassOptions, type PassResult, unusableNumbers } from "../pass.ts";
import { type Choice, LayerExperts, type LayerExpertsParts } from "./experts/layer-experts.ts";
import type { HostWeights } from "./host-weights.ts";
import type { HostKvCache } from "./kv-rows.ts";
import { logprobOf, mostProbable } from "./logits.ts";

/** A graph of the program, ready to run. */
export interface CompiledStep extends Omit<GraphStep, "graph"> {
  readonly compiled: CompiledGraph;
}

/** What passes run on; all of it is the model's. */
export interface OnnxPassParts extends LayerExpertsParts {
  readonly steps: readonly (CompiledStep | HostStep)[];
  readonly logits: string;
  readonly weights: HostWeights;
  readonly kvCaches: ReadonlyMap<number, HostKvCache>;
  /** Recurrent states by layer and part, which passes replace. */
  readonly states: Map<string, HostTensor>;
  /** Cosines or sines of all positions: `[context, dims / 2]`. */
  readonly angles: (rope: RopeSpec, part: "cos" | "sin") => Float32Array;
  /** Of each MoE layer. */
  readonly vectors: readonly ExpertVectors[];
}

/** What of a pass's options means something here; `ahead` brings experts as soon as they are known. */
export interface OnnxPassOptions
  extends Pick<PassOptions, "logits" | "ahead" | "following" | "onAsked" | "onChosen" | "signal"> {
  /** Computes all but experts, and counts nothing: to see how long that takes. */
  readonly withoutExperts?: boolean;
}

/** Recurrent states are known by this. */
export function stateKey(layer: number, part: string): string {
  return `${layer} ${part}`;
}

/**
 * Computes `tokens` at `position` and the logits after the last of them. Every layer's choice is known to the host
 * before its experts' turn, so that nothing faults: what is absent is brought, and waited for.
 * Throws "bad-file" when the numbers are no numbers, "aborted", "out-of-memory", and what the model's source throws.
 */
export async function runOnnxPass(
  parts: OnnxPassParts,
  tokens: readonly number[],
  position: number,
  options: OnnxPassOptions,
): Promise<PassResult> {
  const pass = new OnnxPass(parts, tokens, position, options);
  try {
    return await pass.run();
  } finally {
    pass.close();
  }
}

/** Time after which a pass lets the thread do something else: loads land, and a stop is heard. */
const BREATH_MS = 16;

/** When a pass did so last: of the thread, since many short passes hold it as long as a long one. */
let breathedAt = 0;

class OnnxPass {
  readonly #parts: OnnxPassParts;
  readonly #tokens: readonly number[];
  readonly #position: number;
  readonly #options: OnnxPassOptions;
  readonly #values = new Map<string, HostTensor>();
  readonly #choices: Choice[] = [];
  readonly #experts: LayerExperts;
  readonly #masks = new Map<number, HostTensor>();

  constructor(
    parts: OnnxPassParts,
    tokens: readonly number[],
    position: number,
    options: OnnxPassOptions,
  ) {
    this.#parts = parts;
    this.#tokens = tokens;
    this.#position = position;
    this.#options = options;
    this.#experts = new LayerExperts(parts, {
      tokens: tokens.length,
      signal: options.signal,
      breathe: () => this.#breathe(),
    });
  }

  async run(): Promise<PassResult> {
    for (const step of this.#parts.steps) {
      await this.#breathe();
      await this.#take(step);
    }
    return this.#result();
  }

  /** Lets go of everything, also in the middle. */
  close(): void {
    this.#experts.close();
  }

  #take(step: CompiledStep | HostStep): Promise<void> | void {
    switch (step.kind) {
      case "graph":
        return this.#runGraph(step);
      case "embed": {
        const data = this.#parts.weights.embedded(step.table, this.#tokens, step.scale);
        return this.#set(step.to, data, step.width);
      }
      case "append":
        return this.#append(step);
      case "choose":
        return this.#choose(step.moe, step.logits);
      case "experts":
        return this.#runExperts(step);
    }
  }

  async #runGraph({ compiled, inputs, states }: CompiledStep): Promise<void> {
    const given = new Map(inputs.map(({ name, source }) => [name, this.#input(name, source)]));
    const outputs = await compiled.run(given);
    this.#parts.count("dispatches", 1);
    for (const [name, tensor] of outputs) this.#values.set(name, tensor);
    for (const { name, layer, part } of states) {
      this.#parts.states.set(stateKey(layer, part), outputs.get(name)!);
      this.#values.delete(name);
    }
  }

  #input(name: string, source: InputSource): HostTensor {
    const tokens = this.#tokens.length;
    switch (source.kind) {
      case "value":
        return this.#value(name);
      case "angles": {
        const half = source.rope.dims / 2;
        const table = this.#parts.angles(source.rope, source.part);
        const first = this.#position * half;
        const data = table.subarray(first, first + tokens * half);
        return { type: "float32", data, dims: [tokens, half] };
      }
      case "cache": {
        const cache = this.#parts.kvCaches.get(source.layer)!;
        const { first, count } = cache.seen(this.#position, tokens);
        const rows = source.of === "keys" ? cache.keys : cache.values!;
        return rows.read(first, count)[source.part];
      }
      case "mask":
        return this.#mask(this.#parts.kvCaches.get(source.layer)!);
      case "rows": {
        const all = this.#options.following !== undefined;
        const rows = all ? [...this.#tokens.keys()] : [tokens - 1];
        return { type: "int64", data: BigInt64Array.from(rows, BigInt), dims: [rows.length] };
      }
      case "state":
        return this.#parts.states.get(stateKey(source.layer, source.part))!;
    }
  }

  /** Layers with windows of one size share their mask. */
  #mask(cache: HostKvCache): HostTensor {
    let mask = this.#masks.get(cache.window);
    if (!mask) {
      mask = cache.mask(this.#position, this.#tokens.length);
      this.#masks.set(cache.window, mask);
    }
    return mask;
  }

  #append({ layer, keys, values }: Extract<HostStep, { kind: "append" }>): void {
    const cache = this.#parts.kvCaches.get(layer)!;
    cache.keys.write(this.#position, this.#floats(keys));
    if (values !== undefined) cache.values!.write(this.#position, this.#floats(values));
  }

  #choose(moe: number, logits: string | undefined): void {
    const { spec, weights, vectors, store } = this.#parts;
    const rule = spec.moe[moe]!;
    const { topK, pool, experts, scale } = rule;
    const pairs = this.#tokens.length * topK;
    const choice: Choice = {
      ids: new Uint32Array(pairs),
      weights: new Float32Array(pairs),
    };
    if (logits === undefined) {
      choice.ids.set(weights.tableRows(rule.router, this.#tokens));
      choice.weights.fill(scale / topK);
    } else {
      const all = this.#floats(logits);
      for (let token = 0; token < this.#tokens.length; token++) {
        const row = Float64Array.from(all.subarray(token * experts, (token + 1) * experts));
        if (row.some(Number.isNaN)) throw unusableNumbers();
        const chosen = chooseExperts(row, rule, vectors[moe]);
        choice.ids.set(chosen.experts, token * topK);
        choice.weights.set(chosen.weights, token * topK);
      }
    }
    this.#choices[moe] = choice;
    if (this.#options.withoutExperts) return;
    this.#options.onAsked?.(moe, choice.ids);
    store.use(pool, choice.ids);
    this.#experts.chosen(moe, choice, this.#options.ahead);
  }

  async #runExperts(step: Extract<HostStep, { kind: "experts" }>): Promise<void> {
    const { spec } = this.#parts;
    const { moe } = step;
    const { hidden } = spec.moe[moe]!;
    const tokens = this.#tokens.length;
    const residual =
      step.residual === undefined ? new Float32Array(tokens * hidden) : this.#floats(step.residual);
    if (this.#options.withoutExperts) return this.#set(step.to, residual, hidden);
    this.#options.onChosen?.(moe, this.#ids(), this.#guess(moe + 1, step.guess));
    const y = await this.#experts.run(moe, this.#value(step.x), residual);
    this.#set(step.to, y, hidden);
  }

  /** The choice that a layer's router would make of what the layer before reads. */
  #guess(moe: number, logits: string | undefined): Uint32Array | undefined {
    if (logits === undefined || this.#tokens.length > 1) return undefined;
    const { spec, vectors } = this.#parts;
    const row = Float64Array.from(this.#floats(logits));
    return Uint32Array.from(chooseExperts(row, spec.moe[moe]!, vectors[moe]).experts);
  }

  #result(): PassResult {
    const { spec, logits: name } = this.#parts;
    const { vocab } = spec;
    const { following, logits: wantsLogits } = this.#options;
    const all = this.#floats(name);
    const last = all.subarray(all.length - vocab);
    const next = mostProbable(last);
    if (next === undefined) throw unusableNumbers();
    let logprobs: Float32Array | undefined;
    if (following !== undefined) {
      const tokens = [...this.#tokens.slice(1), following];
      logprobs = Float32Array.from(tokens, (token, row) =>
        logprobOf(all.subarray(row * vocab, (row + 1) * vocab), token),
      );
      if (!logprobs.every(Number.isFinite)) throw unusableNumbers();
    }
    return {
      next,
      stopped: false,
      verdict: undefined,
      guess: undefined,
      logits: wantsLogits ? last : undefined,
      logprobs,
      ids: this.#ids(),
    };
  }

  #ids(): readonly Uint32Array[] {
    return this.#choices.map(({ ids }) => ids);
  }

  #set(name: string, data: Float32Array, width: number): void {
    this.#values.set(name, { type: "float32", data, dims: [data.length / width, width] });
  }

  #value(name: string): HostTensor {
    const value = this.#values.get(name);
    if (!value) throw new Error(`unreachable: nothing has made ${name}`);
    return value;
  }

  #floats(name: string): Float32Array {
    return this.#value(name).data as Float32Array;
  }

  async #breathe(): Promise<void> {
    if (performance.now() - breathedAt < BREATH_MS) return;
    await nextTask();
    breathedAt = performance.now();
    throwIfAborted(this.#options.signal, "The pass");
  }
}
