import { argmax } from "../kernels/argmax.ts";
import { attention } from "../kernels/attention.ts";
import { combine } from "../kernels/combine.ts";
import { embed } from "../kernels/embed.ts";
import { expertDown } from "../kernels/expert_down.ts";
import { expertDownColumns } from "../kernels/expert_down_columns.ts";
import { expertGateUp } from "../kernels/expert_gate_up.ts";
import { gatedUnit } from "../kernels/gated_unit.ts";
import { hashRouter } from "../kernels/hash_router.ts";
import { lastToken } from "../kernels/last_token.ts";
import { logprob } from "../kernels/logprob.ts";
import { matmul } from "../kernels/matmul.ts";
import { matvec } from "../kernels/matvec.ts";
import { activationParts } from "../kernels/parts.ts";
import { rmsNorm } from "../kernels/rms_norm.ts";
import { rotateAppend } from "../kernels/rotate_append.ts";
import { router } from "../kernels/router.ts";
import { scoreFunctions } from "../routing/registry.ts";
import { checkMost, checkMultiple, checkWidth } from "./checks.ts";
import type { GpuResources } from "./gpu-resources.ts";
import type {
  Activation,
  ActivationName,
  AttentionSpec,
  MoeSpec,
  Ops,
  RopeSpec,
  Routing,
} from "./ops.ts";
import { type MoeSteps, type Program, Recorder, type Scratch } from "./program.ts";

interface GpuTensor extends Activation {
  readonly scratch: Scratch;
  /** One row, whatever the pass has. */
  readonly single: boolean;
}

interface GpuRouting extends Routing {
  readonly moe: number;
  /** The router's step. */
  readonly router: number;
}

/** What a program is recorded for. */
export interface RecordOptions {
  readonly maxTokens: number;
  /** Can also give the log-probability of each token that follows another: see `Program.head`. */
  readonly scores?: boolean;
  /** Also runs each layer's router on what the layer before reads, as a guess. */
  readonly guesses?: boolean;
}

/** Where a router writes; each `[MoE layers, max tokens, topK]`. */
interface RoutingBuffers {
  readonly ids: GPUBuffer;
  readonly slots: GPUBuffer;
  readonly weights: GPUBuffer;
}

/** A MoE layer before its program is built. */
type PendingMoe = Omit<MoeSteps, "chooser">;

/** Matmul reads tokens in fours, so activations have room for them. */
const TOKEN_TILE = 4;

/** What the kernels' workgroup memory and fixed arrays hold: see `shaders/moe/router.wgsl`, `shaders/attention`. */
const MAX_EXPERTS = 512;
const MAX_TOP_K = 32;
const MAX_HEAD_DIM = 256;

/** Weights are read 8 at a time, activations 4. */
const UNIT_WEIGHTS = 8;

/** Least context of a rope table that a layer without positions binds and never reads. */
const NO_ROPE: RopeSpec = { dims: 2, base: 1, pairing: "half-split" };

/**
 * Records a model's forward pass as dispatches, for passes of up to `maxTokens` tokens.
 * `finish` gives the program, which the caller owns.
 */
export class GpuOps implements Ops<GpuTensor, GpuRouting> {
  readonly #gpu: GpuResources;
  readonly #maxTokens: number;
  readonly #recorder: Recorder;
  readonly #moe: readonly MoeSpec[];
  readonly #moeSteps: PendingMoe[] = [];
  readonly #routingFirst: number[] = [];
  readonly #owned: GPUBuffer[] = [];
  readonly #ids: GPUBuffer;
  readonly #slots: GPUBuffer;
  readonly #weights: GPUBuffer;
  /** Where guesses go; only their ids are ever read. */
  readonly #guesses: RoutingBuffers | undefined;
  readonly #scores: boolean;
  /** What the head makes logits of. */
  #rows: { readonly scratch: Scratch; readonly step: number } | undefined;
  #logits: { readonly scratch: Scratch; readonly step: number } | undefined;

  constructor(gpu: GpuResources, moe: readonly MoeSpec[], options: RecordOptions) {
    const { maxTokens } = options;
    this.#gpu = gpu;
    this.#moe = moe;
    this.#maxTokens = maxTokens;
    this.#scores = options.scores ?? false;
    this.#recorder = new Recorder(gpu.context);
    let choices = 0;
    for (const spec of moe) {
      this.#routingFirst.push(choices);
      choices += maxTokens * spec.topK;
    }
    const { memory } = gpu.context;
    this.#ids = memory.storage("expert ids", 4 * choices);
    this.#slots = memory.storage("expert slots", 4 * choices);
    this.#weights = memory.storage("expert weights", 4 * choices);
    this.#owned.push(this.#ids, this.#slots, this.#weights);
    if (options.guesses) {
      const [ids, slots, weights] = ["ids", "slots", "weights"].map((name) =>
        memory.storage(`guessed expert ${name}`, 4 * choices),
      ) as [GPUBuffer, GPUBuffer, GPUBuffer];
      this.#guesses = { ids, slots, weights };
      this.#owned.push(ids, slots, weights);
    }
  }

  embed(table: string): GpuTensor {
    const matrix = this.#gpu.matrix(table);
    const y = this.#tensor(matrix.cols);
    for (const { buffer, firstRow, rows } of matrix.parts) {
      this.#recorder.dispatch(embed, {
        params: { hidden: matrix.cols, vocab: matrix.rows, first_row: firstRow, rows },
        buffers: { y: y.scratch },
        weights: buffer,
        parts: [matrix.format.source],
      });
    }
    return y;
  }

  rmsNorm(x: GpuTensor, weight: string, epsilon: number): GpuTensor {
    const y = this.#tensor(x.width, x.single);
    this.#recorder.dispatch(rmsNorm, {
      params: { width: x.width, epsilon },
      buffers: { x: x.scratch, weight: this.#gpu.vector(weight, x.width), y: y.scratch },
      parts: [this.#gpu.variant.reduce],
      constants: this.#gpu.variant.norm,
      single: x.single,
    });
    return y;
  }

  linear(x: GpuTensor, weight: string, options: { residual?: GpuTensor } = {}): GpuTensor {
    const { rows, cols, format, parts } = this.#gpu.matrix(weight);
    checkWidth(weight, x.width, cols);
    checkMultiple(`cols of ${weight}`, cols, UNIT_WEIGHTS);
    if (options.residual) checkWidth(weight, options.residual.width, rows);
    const single = x.single || this.#maxTokens === 1;
    const y = this.#tensor(rows, x.single);
    for (const part of parts) {
      this.#recorder.dispatch(single ? matvec : matmul, {
        params: {
          rows: part.rows,
          cols,
          has_residual: options.residual ? 1 : 0,
          first_row: part.firstRow,
          all_rows: rows,
        },
        buffers: {
          x: x.scratch,
          residual: (options.residual ?? x).scratch,
          y: y.scratch,
        },
        weights: part.buffer,
        parts: [format.source, this.#gpu.variant.reduce],
        constants: this.#gpu.variant.matrix,
        single,
      });
    }
    return y;
  }

  attention(q: GpuTensor, k: GpuTensor, v: GpuTensor, spec: AttentionSpec): GpuTensor {
    const { heads, kvHeads, headDim, rope, norm } = spec;
    checkWidth(`q of layer ${spec.layer}`, q.width, heads * headDim);
    checkWidth(`k of layer ${spec.layer}`, k.width, kvHeads * headDim);
    checkWidth(`v of layer ${spec.layer}`, v.width, kvHeads * headDim);
    checkMultiple(`the head size of layer ${spec.layer}`, headDim, 4);
    checkMost(`the head size of layer ${spec.layer}`, headDim, MAX_HEAD_DIM);
    const context = this.#gpu.contextTokens;
    const table = this.#gpu.ropeTable(rope ?? NO_ROPE);
    const cache = this.#gpu.kvCache(spec.layer);
    const rotated = this.#tensor(q.width);
    this.#recorder.dispatch(rotateAppend, {
      params: {
        heads,
        kv_heads: kvHeads,
        head_dim: headDim,
        context,
        rope_dims: rope?.dims ?? 0,
        pairing: rope?.pairing === "interleaved" ? 1 : 0,
        norm_mode: norm ? (norm.over === "head" ? 1 : 2) : 0,
        epsilon: norm?.epsilon ?? 0,
      },
      buffers: {
        q: q.scratch,
        k: k.scratch,
        v: v.scratch,
        // Without a norm nothing reads it; the table is as good as any buffer that is only read.
        norms: norm ? this.#gpu.vectors(norm.q, norm.k) : table,
        table,
        q_out: rotated.scratch,
        cache,
      },
      parts: [this.#gpu.variant.reduce],
      constants: this.#gpu.variant.rotate,
    });
    const out = this.#tensor(q.width);
    this.#recorder.dispatch(attention, {
      params: {
        heads,
        kv_heads: kvHeads,
        head_dim: headDim,
        context,
        window: spec.window ?? context,
        scale: spec.scale,
      },
      buffers: { q: rotated.scratch, cache, out: out.scratch },
      constants: this.#gpu.variant.attention,
    });
    return out;
  }

  gatedUnit(gate: GpuTensor, up: GpuTensor, activation: ActivationName): GpuTensor {
    checkWidth("up", up.width, gate.width);
    const y = this.#tensor(gate.width, gate.single);
    this.#recorder.dispatch(gatedUnit, {
      params: { width: gate.width },
      buffers: { gate: gate.scratch, up: up.scratch, y: y.scratch },
      parts: [activationParts[activation]],
      single: gate.single,
    });
    return y;
  }

  route(x: GpuTensor, spec: MoeSpec): GpuRouting {
    const moe = this.#moe.indexOf(spec);
    const step = this.#recorder.length;
    const slots = this.#slots;
    this.#dispatchRouter(x, spec, { ids: this.#ids, slots, weights: this.#weights }, "looks-up");
    const next = this.#moe[moe + 1];
    if (this.#guesses && next) this.#dispatchRouter(x, next, this.#guesses, "chooses");
    return { topK: spec.topK, moe, router: step };
  }

  routeByToken(spec: MoeSpec): GpuRouting {
    const moe = this.#moe.indexOf(spec);
    const step = this.#recorder.length;
    this.#dispatchTable(
      spec,
      { ids: this.#ids, slots: this.#slots, weights: this.#weights },
      "looks-up",
    );
    const next = this.#moe[moe + 1];
    if (this.#guesses && next) this.#dispatchTable(next, this.#guesses, "chooses");
    return { topK: spec.topK, moe, router: step };
  }

  #dispatchTable(spec: MoeSpec, out: RoutingBuffers, task: "looks-up" | "chooses"): void {
    const moe = this.#moe.indexOf(spec);
    const { buffer, rows, cols } = this.#gpu.table(spec.router);
    checkWidth(spec.router, spec.topK, cols);
    const params = {
      vocab: rows,
      top_k: spec.topK,
      moe_index: moe,
      page_first: this.#gpu.pageFirst(spec.pool),
      routing_first: this.#routingFirst[moe]!,
      looks_up: task === "looks-up" ? 1 : 0,
      weight: spec.scale / spec.topK,
    };
    this.#recorder.dispatch(hashRouter, {
      params,
      ...(task === "looks-up" && { otherParams: { ...params, looks_up: 0 } }),
      buffers: {
        table: buffer,
        page_table: this.#gpu.pageTable,
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
    const { parts, format, rows, cols } = this.#gpu.matrix(spec.router);
    checkWidth(spec.router, x.width, cols);
    checkWidth(spec.router, spec.experts, rows);
    checkMultiple(`cols of ${spec.router}`, cols, UNIT_WEIGHTS);
    checkMost(`the number of experts of layer ${spec.layer}`, spec.experts, MAX_EXPERTS);
    checkMost(`the experts a token of layer ${spec.layer}`, spec.topK, MAX_TOP_K);
    checkMost(`the buffers of ${spec.router}`, parts.length, 1);
    const params = {
      hidden: spec.hidden,
      experts: spec.experts,
      top_k: spec.topK,
      moe_index: moe,
      page_first: this.#gpu.pageFirst(spec.pool),
      routing_first: this.#routingFirst[moe]!,
      renormalise: spec.renormalise ? 1 : 0,
      looks_up: task === "looks-up" ? 1 : 0,
      scale: spec.scale,
    };
    this.#recorder.dispatch(router, {
      params,
      ...(task === "looks-up" && { otherParams: { ...params, looks_up: 0 } }),
      buffers: {
        x: x.scratch,
        page_table: this.#gpu.pageTable,
        ids: out.ids,
        slots: out.slots,
        expert_weights: out.weights,
      },
      weights: parts[0]!.buffer,
      parts: [format.source, scoreFunctions[spec.score].source],
      constants: this.#gpu.variant.router,
    });
  }

  experts(
    x: GpuTensor,
    choice: GpuRouting,
    spec: MoeSpec,
    options: { residual: GpuTensor },
  ): GpuTensor {
    const { hidden, ffn, topK } = spec;
    checkWidth(spec.gate, x.width, hidden);
    checkMultiple(`cols of ${spec.gate}`, hidden, UNIT_WEIGHTS);
    const routing_first = this.#routingFirst[choice.moe]!;
    const pool = this.#gpu.arenas(spec.pool);
    checkMultiple(`cols of ${spec.down}`, pool.downByColumns ? hidden : ffn, UNIT_WEIGHTS);
    const { variant } = this.#gpu;
    const pairs = this.#maxTokens * topK;
    const inner = this.#recorder.scratch(4 * pairs * ffn);
    const outer = this.#recorder.scratch(4 * pairs * hidden);
    const first = this.#recorder.length;
    const arenas = pool.arenas.map((buffer, index) => ({
      buffer,
      params: {
        hidden,
        ffn,
        top_k: topK,
        routing_first,
        slot_words: pool.slotWords,
        arena_first: index * pool.slotsPerArena,
        arena_slots: Math.min(pool.slotsPerArena, pool.slots - index * pool.slotsPerArena),
      },
    }));
    for (const { buffer, params } of arenas) {
      this.#recorder.dispatch(expertGateUp, {
        params: { ...params, gate_first: pool.gateFirst, up_first: pool.upFirst },
        buffers: { x: x.scratch, slots: this.#slots, y: inner },
        weights: buffer,
        parts: [pool.gateFormat.source, variant.reduce, activationParts[spec.activation]],
        constants: variant.matrix,
      });
    }
    for (const { buffer, params } of arenas) {
      this.#recorder.dispatch(pool.downByColumns ? expertDownColumns : expertDown, {
        params: { ...params, down_first: pool.downFirst },
        buffers: { x: inner, slots: this.#slots, y: outer },
        weights: buffer,
        parts: pool.downByColumns
          ? [pool.downFormat.source]
          : [pool.downFormat.source, variant.reduce],
        constants: pool.downByColumns ? variant.columns : variant.matrix,
      });
    }
    // A fault runs these steps several times, so what they read must outlive the last of them.
    this.#recorder.keep(x.scratch);
    this.#recorder.keep(inner);
    this.#moeSteps.push({
      moe: choice.moe,
      router: choice.router,
      first,
      end: this.#recorder.length,
    });
    const y = this.#tensor(hidden);
    this.#recorder.dispatch(combine, {
      params: { hidden, top_k: topK, routing_first },
      buffers: {
        x: outer,
        expert_weights: this.#weights,
        residual: options.residual.scratch,
        y: y.scratch,
      },
    });
    return y;
  }

  lastToken(x: GpuTensor): GpuTensor {
    this.#rows = { scratch: x.scratch, step: this.#recorder.length };
    if (this.#maxTokens === 1) return { ...x, single: true };
    const y = this.#tensor(x.width, true);
    this.#recorder.dispatch(lastToken, {
      params: { width: x.width },
      buffers: { x: x.scratch, y: y.scratch },
      single: true,
    });
    return y;
  }

  logits(x: GpuTensor): void {
    this.#logits = { scratch: x.scratch, step: this.#recorder.length };
    this.#recorder.dispatch(argmax, {
      params: { vocab: x.width },
      buffers: { logits: x.scratch, result: this.#gpu.result },
    });
    if (!this.#scores) return;
    this.#recorder.dispatch(logprob, {
      params: { vocab: x.width },
      buffers: { logits: x.scratch, scores: this.#gpu.scores },
    });
    // The head runs once for each token, so what it reads must outlive the last of its steps.
    if (this.#rows) this.#recorder.keep(this.#rows.scratch);
  }

  /** GPU bytes of the program: scratch, parameters and routing. */
  get bytes(): number {
    const routing = this.#owned.reduce((sum, buffer) => sum + buffer.size, 0);
    return this.#recorder.bytes + routing;
  }

  /** Gives back what was allocated, when `finish` is not called. */
  discard(): void {
    for (const buffer of this.#owned) this.#gpu.context.memory.release(buffer);
  }

  /** Allocates and binds. Throws "shader-invalid", "out-of-memory", "missing-feature". */
  async finish(): Promise<Program> {
    const { steps, others, dispose } = await this.#recorder.build(this.#gpu.control);
    const logits = this.#logits?.scratch.buffer;
    if (!logits || !this.#rows || !this.#logits) {
      throw new Error("unreachable: a model ends with the last token's logits");
    }
    const scorer = this.#scores ? steps.pop() : undefined;
    const moe = this.#moeSteps
      .map((place) => ({ ...place, chooser: others.get(place.router)! }))
      .sort((a, b) => a.moe - b.moe);
    return {
      maxTokens: this.#maxTokens,
      steps,
      moe,
      routers: new Map(moe.map((place) => [place.router, place])),
      ids: this.#ids,
      slots: this.#slots,
      routingFirst: this.#routingFirst,
      guesses: this.#guesses?.ids,
      logits,
      head: { first: this.#rows.step, end: this.#logits.step },
      scorer,
      dispose: () => {
        dispose();
        this.discard();
      },
    };
  }

  #tensor(width: number, single = false): GpuTensor {
    const rows = single ? 1 : Math.ceil(this.#maxTokens / TOKEN_TILE) * TOKEN_TILE;
    return { width, single, scratch: this.#recorder.scratch(4 * rows * width) };
  }
}
