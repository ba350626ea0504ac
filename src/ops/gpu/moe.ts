import { weightParts } from "../../formats/parts.ts";
import { combine } from "../../kernels/combine.ts";
import { expertDown } from "../../kernels/expert_down.ts";
import { expertDownColumns } from "../../kernels/expert_down_columns.ts";
import { expertGateUp } from "../../kernels/expert_gate_up.ts";
import { hashRouter } from "../../kernels/hash_router.ts";
import { activationParts, inputParts, rankingParts } from "../../kernels/parts.ts";
import { NO_VECTOR, router } from "../../kernels/router.ts";
import { ranksByScore } from "../../routing/choose.ts";
import { scoreFunctions } from "../../routing/registry.ts";
import type { ScoreFunction } from "../../routing/router.ts";
import { checkMost, checkMultiple, checkWidth } from "../checks.ts";
import type { MoeSpec, Routing } from "../ops.ts";
import type { MoeSteps, Program, Step } from "../program.ts";
import { type GroupedProducts, isGrouped, recordGroupedProducts } from "./grouped.ts";
import { type GpuTensor, type Recording, UNIT_WEIGHTS } from "./recording.ts";

/** Where a layer's choice lies. */
export interface GpuRouting extends Routing {
  readonly moe: number;
  /** The router's step. */
  readonly router: number;
}

/** Where a router writes; each `[MoE layers, max tokens, topK]`. */
interface RoutingBuffers {
  readonly ids: GPUBuffer;
  readonly slots: GPUBuffer;
  readonly weights: GPUBuffer;
}

/** A MoE layer before its program is built. */
type PendingMoe = Omit<MoeSteps, "chooser">;

/** What the router's workgroup memory and fixed arrays hold: see `shaders/moe/router.wgsl`. */
const MAX_EXPERTS = 512;
const MAX_TOP_K = 32;
const MAX_GROUPS = 256;

/** Records the routers and experts of a pass. Owns the buffers of their choices until `dispose`. */
export class MoeRecording {
  readonly #recording: Recording;
  readonly #moe: readonly MoeSpec[];
  readonly #steps: PendingMoe[] = [];
  readonly #routingFirst: number[] = [];
  readonly #owned: GPUBuffer[] = [];
  readonly #choices: RoutingBuffers;
  /** Where guesses go; only their ids are ever read. */
  readonly #guesses: RoutingBuffers | undefined;

  /** @param guesses also runs each layer's router on what the layer before reads */
  constructor(recording: Recording, moe: readonly MoeSpec[], guesses: boolean) {
    this.#recording = recording;
    this.#moe = moe;
    let choices = 0;
    for (const spec of moe) {
      this.#routingFirst.push(choices);
      choices += recording.maxTokens * spec.topK;
    }
    this.#choices = this.#buffers("expert", choices);
    this.#guesses = guesses ? this.#buffers("guessed expert", choices) : undefined;
  }

  route(x: GpuTensor, spec: MoeSpec): GpuRouting {
    const moe = this.#moe.indexOf(spec);
    const step = this.#recording.recorder.length;
    this.#dispatchRouter(x, spec, this.#choices, "looks-up");
    const next = this.#moe[moe + 1];
    if (this.#guesses && next) this.#dispatchRouter(x, next, this.#guesses, "chooses");
    return { topK: spec.topK, moe, router: step };
  }

  routeByToken(spec: MoeSpec): GpuRouting {
    const moe = this.#moe.indexOf(spec);
    const step = this.#recording.recorder.length;
    this.#dispatchTable(spec, this.#choices, "looks-up");
    const next = this.#moe[moe + 1];
    if (this.#guesses && next) this.#dispatchTable(next, this.#guesses, "chooses");
    return { topK: spec.topK, moe, router: step };
  }

  #dispatchTable(spec: MoeSpec, out: RoutingBuffers, task: "looks-up" | "chooses"): void {
    const moe = this.#moe.indexOf(spec);
    const { buffer, rows, cols } = this.#recording.gpu.table(spec.router);
    checkWidth(spec.router, spec.topK, cols);
    const params = {
      vocab: rows,
      top_k: spec.topK,
      moe_index: moe,
      page_first: this.#recording.gpu.pageFirst(spec.pool),
      routing_first: this.#routingFirst[moe]!,
      looks_up: task === "looks-up" ? 1 : 0,
      weight: spec.scale / spec.topK,
    };
    this.#recording.recorder.dispatch(hashRouter, {
      params,
      ...(task === "looks-up" && { otherParams: { ...params, looks_up: 0 } }),
      buffers: {
        table: buffer,
        page_table: this.#recording.gpu.pageTable,
        ids: out.ids,
        slots: out.slots,
        expert_weights: out.weights,
      },
    });
  }

  #dispatchRouter(
    x: GpuTensor,
    spec: MoeSpec,
    out: RoutingBuffers,
    task: "looks-up" | "chooses",
  ): void {
    const moe = this.#moe.indexOf(spec);
    const { parts, format, rows, cols } = this.#recording.gpu.matrix(spec.router);
    checkWidth(spec.router, x.width, cols);
    checkWidth(spec.router, spec.experts, rows);
    checkMultiple(`cols of ${spec.router}`, cols, UNIT_WEIGHTS);
    checkMost(`the number of experts of layer ${spec.layer}`, spec.experts, MAX_EXPERTS);
    checkMost(`the experts a token of layer ${spec.layer}`, spec.topK, MAX_TOP_K);
    checkMost(`the buffers of ${spec.router}`, parts.length, 1);
    checkMost(`the groups of experts of layer ${spec.layer}`, spec.groups?.count ?? 1, MAX_GROUPS);
    const score: ScoreFunction = scoreFunctions[spec.score];
    if (ranksByScore(spec) && !score.growsWithLogit) {
      throw new Error(`unreachable: ${score.name} with a selection bias or groups`);
    }
    const vectors = this.#expertVectors(spec);
    const params = {
      hidden: spec.hidden,
      experts: spec.experts,
      top_k: spec.topK,
      moe_index: moe,
      page_first: this.#recording.gpu.pageFirst(spec.pool),
      routing_first: this.#routingFirst[moe]!,
      renormalise: spec.renormalise || score.weigh ? 1 : 0,
      looks_up: task === "looks-up" ? 1 : 0,
      scale: spec.scale,
      ...vectors.starts,
      groups: spec.groups?.count ?? 1,
      groups_kept: spec.groups?.keep ?? 1,
    };
    this.#recording.recorder.dispatch(router, {
      params,
      ...(task === "looks-up" && { otherParams: { ...params, looks_up: 0 } }),
      buffers: {
        x: x.scratch,
        page_table: this.#recording.gpu.pageTable,
        // Without vectors nothing reads it: any buffer does that is only read.
        vectors: vectors.buffer ?? x.scratch,
        ids: out.ids,
        slots: out.slots,
        expert_weights: out.weights,
      },
      weights: parts[0]!.buffer,
      parts: [
        ...weightParts(format),
        ...score.parts,
        ranksByScore(spec) ? rankingParts.byScore : rankingParts.byLogit,
      ],
      constants: this.#recording.gpu.variant.router,
    });
  }

  /** What a router has of each expert, joined in one buffer, and where each vector starts in it. */
  #expertVectors({ experts, routerBias, selectionBias, expertScale }: MoeSpec) {
    const names = [routerBias, selectionBias, expertScale].filter((name) => name !== undefined);
    const start = (name: string | undefined) =>
      name === undefined ? NO_VECTOR : names.indexOf(name) * experts;
    return {
      buffer: names.length > 0 ? this.#recording.gpu.vectors(...names) : undefined,
      starts: {
        router_bias: start(routerBias),
        selection_bias: start(selectionBias),
        expert_scale: start(expertScale),
      },
    };
  }

  experts(
    x: GpuTensor,
    choice: GpuRouting,
    spec: MoeSpec,
    { residual }: { residual?: GpuTensor } = {},
  ): GpuTensor {
    const { hidden, ffn, topK } = spec;
    checkWidth(spec.gate, x.width, hidden);
    checkMultiple(`cols of ${spec.gate}`, hidden, UNIT_WEIGHTS);
    const routing_first = this.#routingFirst[choice.moe]!;
    const pool = this.#recording.gpu.arenas(spec.pool);
    checkMultiple(`cols of ${spec.down}`, pool.downByColumns ? hidden : ffn, UNIT_WEIGHTS);
    const pairs = this.#recording.maxTokens * topK;
    const inner = this.#recording.recorder.scratch(4 * pairs * ffn);
    const outer = this.#recording.recorder.scratch(4 * pairs * hidden);
    const first = this.#recording.recorder.length;
    const products = {
      spec,
      pool,
      slots: this.#choices.slots,
      routingFirst: routing_first,
      x: { scratch: x.scratch, part: inputParts.plain, vectors: x.scratch, epsilon: 0 },
      inner,
      outer,
    };
    if (isGrouped(this.#recording.maxTokens, pool)) {
      recordGroupedProducts(this.#recording, products);
    } else {
      this.#recordProducts(products);
    }
    // A fault runs these steps several times, so what they read must outlive the last of them.
    this.#recording.recorder.keep(x.scratch);
    this.#recording.recorder.keep(inner);
    this.#steps.push({
      moe: choice.moe,
      router: choice.router,
      first,
      end: this.#recording.recorder.length,
    });
    const y = this.#recording.tensor(hidden);
    this.#recording.recorder.dispatch(combine, {
      params: { hidden, top_k: topK, routing_first, has_residual: residual ? 1 : 0 },
      buffers: {
        x: outer,
        expert_weights: this.#choices.weights,
        // What is not there is not read: any buffer does that is only read.
        residual: residual?.scratch ?? outer,
        y: y.scratch,
      },
    });
    return y;
  }

  /** Each pair by itself. */
  #recordProducts({ spec, pool, slots, routingFirst, x, inner, outer }: GroupedProducts): void {
    const { hidden, ffn, topK } = spec;
    const { variant } = this.#recording.gpu;
    const arenas = pool.arenas.map((buffer, index) => ({
      buffer,
      params: {
        hidden,
        ffn,
        top_k: topK,
        routing_first: routingFirst,
        slot_words: pool.slotWords,
        arena_first: index * pool.slotsPerArena,
        arena_slots: Math.min(pool.slotsPerArena, pool.slots - index * pool.slotsPerArena),
      },
    }));
    const { biases } = pool;
    const constants = { ...variant.matrix, BIASED: biases ? 1 : 0 };
    for (const { buffer, params } of arenas) {
      this.#recording.recorder.dispatch(expertGateUp, {
        params: {
          ...params,
          gate_first: pool.gateFirst,
          up_first: pool.upFirst,
          gate_bias_first: biases?.gateFirst ?? 0,
          up_bias_first: biases?.upFirst ?? 0,
        },
        buffers: { x: x.scratch, slots, y: inner },
        weights: buffer,
        parts: [
          ...weightParts(pool.gateFormat, "load_gate"),
          ...weightParts(pool.upFormat, "load_up"),
          variant.reduce,
          activationParts[spec.activation],
        ],
        constants,
      });
    }
    for (const { buffer, params } of arenas) {
      const buffers = { x: inner, slots, y: outer };
      const down = { ...params, down_first: pool.downFirst };
      const loader = weightParts(pool.downFormat);
      if (pool.downByColumns) {
        this.#recording.recorder.dispatch(expertDownColumns, {
          params: down,
          buffers,
          weights: buffer,
          parts: loader,
          constants: variant.columns,
        });
      } else {
        this.#recording.recorder.dispatch(expertDown, {
          params: { ...down, bias_first: biases?.downFirst ?? 0 },
          buffers,
          weights: buffer,
          parts: [...loader, variant.reduce],
          constants,
        });
      }
    }
  }

  /** GPU bytes of the choices. */
  get bytes(): number {
    return this.#owned.reduce((sum, buffer) => sum + buffer.size, 0);
  }

  dispose(): void {
    for (const buffer of this.#owned) this.#recording.gpu.context.memory.release(buffer);
  }

  /** @param others what may be encoded in the place of a router's step: it only chooses */
  finish(
    others: ReadonlyMap<number, Step>,
  ): Pick<Program, "moe" | "routers" | "ids" | "slots" | "routingFirst" | "guesses"> {
    const moe = this.#steps
      .map((place) => ({ ...place, chooser: others.get(place.router)! }))
      .sort((a, b) => a.moe - b.moe);
    return {
      moe,
      routers: new Map(moe.map((place) => [place.router, place])),
      ids: this.#choices.ids,
      slots: this.#choices.slots,
      routingFirst: this.#routingFirst,
      guesses: this.#guesses?.ids,
    };
  }

  #buffers(whose: string, choices: number): RoutingBuffers {
    const { memory } = this.#recording.gpu.context;
    const buffer = (what: string) => {
      const made = memory.storage(`${whose} ${what}`, 4 * choices);
      this.#owned.push(made);
      return made;
    };
    return { ids: buffer("ids"), slots: buffer("slots"), weights: buffer("weights") };
  }
}
