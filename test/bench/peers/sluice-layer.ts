import { CONTROL_WORDS } from "../../../src/engine/executor.ts";
import { REPLY_BLOCK_BYTES } from "../../../src/engine/reply-block.ts";
import { defaultChoice, variantOf } from "../../../src/engine/tuning/choices.ts";
import { f32 } from "../../../src/formats/f32.ts";
import { q4_0 } from "../../../src/formats/q4_0.ts";
import type { GpuContext } from "../../../src/gpu/device.ts";
import { Readback } from "../../../src/gpu/readback.ts";
import { GpuOps } from "../../../src/ops/gpu-ops.ts";
import type { ExpertArenas, GpuResources } from "../../../src/ops/gpu-resources.ts";
import type { MoeSpec } from "../../../src/ops/ops.ts";
import { encodeSteps, type Program } from "../../../src/ops/program.ts";
import { asQ4Planes, type MoeWeights, planeBytes } from "./moe-weights.ts";

/** A layer ready to run. */
export interface MoeLayer {
  /** Computes the layer for the first `tokens` inputs and waits for the result of the last of them, `[hidden]`. */
  run(): Promise<void>;
  /** The outputs of the tokens, one after another: `[tokens, hidden]`. */
  outputs(): Promise<Float32Array>;
  dispose(): void;
}

const INPUTS = "inputs";
const ROUTER = "router";

/**
 * Sluice's own MoE layer, as a model records it: router and experts, through `GpuOps`. The inputs are the rows of an
 * embedding, which is computed once and left out of what is timed, as is the head that the ops ask for.
 */
export async function createSluiceLayer(
  context: GpuContext,
  weights: MoeWeights,
  tokens: number,
): Promise<MoeLayer> {
  const { hidden, experts, topK, ffn } = weights.shape;
  const spec: MoeSpec = {
    ...{ layer: 0, pool: 0, experts, topK, hidden, ffn },
    ...{ routerInput: "post-attention", router: ROUTER, score: "softmax-after-top-k" },
    ...{ renormalise: false, scale: 1, activation: "silu", gate: "gate", up: "up", down: "down" },
  };
  const resources = createResources(context, weights, tokens);
  const ops = new GpuOps(resources, [spec], { maxTokens: tokens });
  const x = ops.embed(INPUTS);
  const choice = ops.route(x, spec);
  ops.logits(ops.lastToken(ops.experts(x, choice, spec)));
  ops.recordEnd();
  const program = await ops.finish();
  return new Layer(context, resources, program, tokens, hidden);
}

class Layer implements MoeLayer {
  readonly #context: GpuContext;
  readonly #resources: GpuResources;
  readonly #program: Program;
  readonly #tokens: number;
  readonly #hidden: number;
  readonly #readback: Readback;

  constructor(
    context: GpuContext,
    resources: GpuResources,
    program: Program,
    tokens: number,
    hidden: number,
  ) {
    this.#context = context;
    this.#resources = resources;
    this.#program = program;
    this.#tokens = tokens;
    this.#hidden = hidden;
    this.#readback = new Readback(context.device);
  }

  async run(): Promise<void> {
    await this.#submit(this.#program.moe[0]!.router, this.#program.head.first, this.#tokens);
  }

  async outputs(): Promise<Float32Array> {
    const { head, steps } = this.#program;
    const all = new Float32Array(this.#tokens * this.#hidden);
    await this.#submit(0, head.first, this.#tokens);
    for (let token = 0; token < this.#tokens; token++) {
      // As if the pass ended there.
      const row = await this.#submit(head.first, steps.length, token + 1);
      all.set(new Float32Array(row), token * this.#hidden);
    }
    return all;
  }

  dispose(): void {
    this.#readback.dispose();
    this.#program.dispose();
  }

  async #submit(first: number, end: number, tokens: number): Promise<ArrayBuffer> {
    const { device } = this.#context;
    const ids = Array.from({ length: this.#tokens }, (_, token) => token);
    const control = Uint32Array.of(0, tokens, 0, 0, ...ids);
    device.queue.writeBuffer(this.#resources.control, 0, control);
    const encoder = device.createCommandEncoder({ label: "layer" });
    const pass = encoder.beginComputePass();
    encodeSteps(pass, this.#program, { first, end, tokens, chosenByHost: new Set() });
    pass.end();
    const { logits } = this.#program;
    const read = this.#readback.encode(encoder, [
      { buffer: logits, byteOffset: 0, bytes: 4 * this.#hidden },
    ]);
    device.queue.submit([encoder.finish()]);
    return read();
  }
}

function createResources(
  context: GpuContext,
  { shape, x, router, experts }: MoeWeights,
  tokens: number,
): GpuResources {
  const { hidden, ffn } = shape;
  const upload = (label: string, data: ArrayBufferView<ArrayBuffer>) => {
    const buffer = context.memory.storage(label, data.byteLength);
    context.device.queue.writeBuffer(buffer, 0, data);
    return buffer;
  };
  const matrixBytes = planeBytes(ffn * hidden);
  const records = new Uint8Array(experts.length * 3 * matrixBytes);
  for (const [index, { gate, up, down }] of experts.entries()) {
    for (const [part, matrix] of [gate, up, down].entries()) {
      records.set(asQ4Planes(matrix), (3 * index + part) * matrixBytes);
    }
  }
  const pageTable = Uint32Array.from(experts.keys());
  const arenas: ExpertArenas = {
    slots: experts.length,
    slotsPerArena: experts.length,
    slotWords: (3 * matrixBytes) / 4,
    gateFirst: 0,
    upFirst: matrixBytes / 4,
    downFirst: (2 * matrixBytes) / 4,
    biases: undefined,
    ...{ gateFormat: q4_0, upFormat: q4_0, downFormat: q4_0, downByColumns: false },
    arenas: [upload("experts", records)],
  };
  const matrices = new Map([
    [INPUTS, { buffer: upload(INPUTS, x), rows: shape.maxTokens }],
    [ROUTER, { buffer: upload(ROUTER, router), rows: experts.length }],
  ]);
  const nothing = (): never => {
    throw new Error("unreachable: a MoE layer has neither vectors nor caches here");
  };
  return {
    context,
    variant: variantOf(defaultChoice(context), context),
    accuracy: "exact",
    contextTokens: tokens,
    control: context.memory.storage("control", 4 * (CONTROL_WORDS + tokens + 1)),
    pageTable: upload("page table", pageTable),
    pageFirst: () => 0,
    result: context.memory.storage("result", 4),
    reply: context.memory.storage("reply", REPLY_BLOCK_BYTES),
    seen: context.memory.storage("seen tokens", 4 * hidden),
    scores: context.memory.storage("scores", 4 * tokens),
    verdict: context.memory.storage("verdict", 4 * tokens),
    guess: context.memory.storage("guess", 4),
    matrix(name) {
      const { buffer, rows } = matrices.get(name)!;
      return { rows, cols: hidden, format: f32, parts: [{ buffer, firstRow: 0, rows }] };
    },
    ...{ table: nothing, vector: nothing, vectors: nothing },
    ...{ kvCache: nothing, state: nothing, ropeTable: nothing },
    arenas: () => arenas,
  };
}
