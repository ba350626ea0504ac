import type { GpuContext } from "../gpu/device.ts";
import {
  type Access,
  type Constants,
  encodeParams,
  type Grid,
  type Kernel,
  type ParamType,
  type ParamValues,
  type PassShape,
} from "../gpu/kernel.ts";
import type { CompiledKernel } from "../gpu/pipelines.ts";
import { layerOf, type StepWork, workOf } from "./step-work.ts";

/** A dispatch with everything bound, ready to be encoded for every token again. */
export interface Step {
  readonly label: string;
  readonly pipeline: GPUComputePipeline;
  /** Bind groups 0, 1 and 2; undefined where the kernel has none. */
  readonly groups: readonly (GPUBindGroup | undefined)[];
  /** The params, if they are immediates. */
  readonly immediates: ArrayBuffer | undefined;
  /** Where the params lie in the buffer that group 0 binds, if they do: one dynamic offset. */
  readonly offsets: Uint32Array<ArrayBuffer>;
  readonly grid: (tokens: number) => Grid;
  /** The layer whose weights or cache it binds; undefined where it binds none. */
  readonly layer: number | undefined;
  /** Undefined when its kernel does not say. */
  readonly work: ((pass: PassShape) => StepWork) | undefined;
}

/** Where a MoE layer's steps lie in a program, for making its experts resident before they are submitted. */
export interface MoeSteps {
  /** Index into `ModelSpec.moe`. */
  readonly moe: number;
  /** The step that chooses the experts and looks them up. */
  readonly router: number;
  /** What is encoded in its place when the host reads the choice and writes the slots: it only chooses. */
  readonly chooser: Step;
  /** The expert products `[first, end)`: run once for each round of loads. */
  readonly first: number;
  readonly end: number;
  /** The step behind them reads the experts of all rounds at once. */
  readonly sums: boolean;
}

/**
 * A way to choose the token after a pass: `top` takes the most probable one, `penalised` that once recent tokens are
 * penalised; the others draw it from those that their settings keep.
 */
export type ChooserName = "top" | "penalised" | "drawn" | "drawnTopK" | "drawnTopP" | "drawnTopKP";

/** A forward pass of up to `maxTokens` tokens, recorded once. Its maker owns it and calls `dispose`. */
export interface Program {
  readonly maxTokens: number;
  readonly steps: readonly Step[];
  /** One for each MoE layer, in order. */
  readonly moe: readonly MoeSteps[];
  /** The same by the router's step. */
  readonly routers: ReadonlyMap<number, MoeSteps>;
  /**
   * Expert ids of the pass and, from word `slotsFirst` on, their slots, each `[MoE layers, maxTokens, topK]`: a layer's
   * start at `routingFirst[moe]`.
   */
  readonly choices: GPUBuffer;
  readonly slotsFirst: number;
  readonly routingFirst: readonly number[];
  /** What the router of the layer before would have chosen for each layer, laid out as `ids`; if it was recorded. */
  readonly guesses: GPUBuffer | undefined;
  /** `[vocab]` f32: of the token after the pass; `[tokens, vocab]` where it verifies. */
  readonly logits: GPUBuffer;
  /** Gives the most probable token after each of the pass's. */
  readonly verifies: boolean;
  /** Where the steps of the block that predicts a further token begin; the number of steps where there is none. */
  readonly predictFirst: number;
  /**
   * The steps `[first, end)` that make logits of the pass's last token. They may run again with fewer tokens in the
   * control block, as if the pass had ended there: so `logits` has room for one token's, and any token can be scored.
   */
  readonly head: { readonly first: number; readonly end: number };
  /** What is encoded behind the head to score the token that follows, if it was recorded. */
  readonly scorer: Step | undefined;
  /**
   * What is encoded behind all steps to choose the next token, for each way to choose it. Undefined where the program
   * verifies, which gives the most probable ones.
   */
  readonly choosers: Readonly<Record<ChooserName, readonly Step[]>> | undefined;
  /** Where steps leave what later ones read. A program that never runs at the same time may share it. */
  readonly scratch: readonly GPUBuffer[];
  dispose(): void;
}

/** A buffer of a program that lives from the step that writes it to the last step that reads it. */
export interface Scratch {
  readonly bytes: number;
  firstStep: number;
  lastStep: number;
  buffer: GPUBuffer | undefined;
}

/** What a kernel's buffer is bound to. */
export type Bound = Scratch | GPUBuffer;

interface PendingStep {
  readonly kernel: Kernel;
  readonly compiled: Promise<CompiledKernel>;
  readonly params: ArrayBuffer;
  /** Other values for the same dispatch. */
  readonly otherParams: ArrayBuffer | undefined;
  readonly bound: readonly Bound[];
  readonly weights: readonly GPUBuffer[];
  readonly grid: (tokens: number) => Grid;
  readonly work: Step["work"];
}

/** What one dispatch is recorded with. */
export interface Dispatch<
  Params extends Record<string, ParamType>,
  Buffers extends Record<string, Access>,
> {
  readonly params: ParamValues<Params>;
  /** Makes a second step of the same dispatch, to be encoded in place of the first. */
  readonly otherParams?: ParamValues<Params>;
  readonly buffers: { readonly [name in keyof Buffers]: Bound };
  /** The words of group 1; the last one stands for those that are left out, too. */
  readonly weights?: GPUBuffer | readonly GPUBuffer[];
  readonly parts?: readonly string[];
  readonly constants?: Constants;
  /** Dispatch for one token, whatever the pass has. */
  readonly single?: boolean;
}

/** What a recorder makes. */
export interface BuiltProgram extends Pick<Program, "scratch"> {
  readonly steps: Step[];
  /** Steps with other values, by the index of those that they may stand for. */
  readonly others: ReadonlyMap<number, Step>;
  dispose(): void;
}

/** WebGPU's default alignment of offsets into uniform and storage buffers, which no device exceeds. */
const UNIFORM_STRIDE = 256;

/** Least size of a storage buffer: `GpuMemory.create` makes none smaller. */
const MIN_SCRATCH_BYTES = 16;

/** Records dispatches with scratch buffers that share memory where their lives do not overlap. */
export class Recorder {
  readonly #context: GpuContext;
  readonly #steps: PendingStep[] = [];
  readonly #scratch: Scratch[] = [];

  constructor(context: GpuContext) {
    this.#context = context;
  }

  /** Steps recorded so far: the index of the next one. */
  get length(): number {
    return this.#steps.length;
  }

  /** A new scratch buffer; it takes memory from the first step that names it to the last. */
  scratch(bytes: number): Scratch {
    const scratch = { bytes, firstStep: -1, lastStep: -1, buffer: undefined };
    this.#scratch.push(scratch);
    return scratch;
  }

  /** Keeps `scratch` untouched up to and including the step recorded last. */
  keep(scratch: Scratch): void {
    scratch.lastStep = this.#steps.length - 1;
  }

  dispatch<Params extends Record<string, ParamType>, Buffers extends Record<string, Access>>(
    kernel: Kernel<Params, Buffers>,
    dispatch: Dispatch<Params, Buffers>,
  ): void {
    const constants = { ...kernel.constants, ...dispatch.constants };
    const bound = Object.keys(kernel.buffers).map((name) => dispatch.buffers[name]!);
    for (const target of bound) {
      if (!isScratch(target)) continue;
      if (target.firstStep < 0) target.firstStep = this.#steps.length;
      target.lastStep = this.#steps.length;
    }
    const plain = kernel as unknown as Kernel;
    const compiled = this.#context.pipelines.compile(plain, dispatch.parts ?? [], constants);
    // `build` awaits it; without this a failure before that would count as unhandled.
    compiled.catch(() => {});
    this.#steps.push({
      kernel: plain,
      compiled,
      params: encodeParams(kernel.params, dispatch.params),
      otherParams: dispatch.otherParams && encodeParams(kernel.params, dispatch.otherParams),
      bound,
      weights: weightBuffers(Number(kernel.weights), dispatch.weights),
      grid: (tokens) => kernel.grid(dispatch.params, constants, dispatch.single ? 1 : tokens),
      work: workOf(kernel, dispatch, constants),
    });
  }

  /**
   * Allocates the scratch buffers and makes the bind groups. The steps' buffers belong to the result, but for `lent`:
   * scratch of a program that outlives it, used in place of new buffers as far as it is large enough.
   * Throws "shader-invalid", "out-of-memory" or "missing-feature".
   */
  async build(control: GPUBuffer, lent: readonly GPUBuffer[] = []): Promise<BuiltProgram> {
    const { device, memory } = this.#context;
    const compiled = await Promise.all(this.#steps.map((step) => step.compiled));
    const owned: GPUBuffer[] = [];
    let scratch: readonly GPUBuffer[] = [];
    await memory.guard("the scratch buffers", () => {
      const { UNIFORM, STORAGE, COPY_DST } = GPUBufferUsage;
      const usage = UNIFORM | STORAGE | COPY_DST; // either: see `paramsBinding` in gpu/device.ts
      owned.push(memory.create("params", this.#uniforms * UNIFORM_STRIDE, usage));
      scratch = this.#allocate(lent);
      owned.push(...scratch.filter((buffer) => !lent.includes(buffer)));
    });
    const params = owned[0]!;
    const all = new Uint8Array(params.size);
    let uniforms = 0;
    const placed = (values: ArrayBuffer): number => {
      const offset = uniforms++ * UNIFORM_STRIDE;
      all.set(new Uint8Array(values), offset);
      return offset;
    };

    const shared = new SharedGroups(device);
    const bind = (step: PendingStep, index: number, values: ArrayBuffer): Step => {
      const { pipeline, layouts, params: place } = compiled[index]!;
      const buffers = step.bound.map((bound) => (isScratch(bound) ? bound.buffer! : bound));
      const isImmediate = place === "immediate";
      const offset = isImmediate ? undefined : placed(values);
      return {
        label: step.kernel.name,
        pipeline,
        groups: [
          isImmediate
            ? shared.group(layouts.buffers, buffers, { first: 1 })
            : shared.group(layouts.buffers, buffers, {
                params: { buffer: params, size: values.byteLength },
              }),
          layouts.weights && shared.group(layouts.weights, step.weights),
          layouts.control && shared.group(layouts.control, [control]),
        ],
        immediates: isImmediate ? values : undefined,
        offsets: Uint32Array.from(offset === undefined ? [] : [offset]),
        grid: step.grid,
        layer: layerOf([...buffers, ...step.weights]),
        work: step.work,
      };
    };
    const steps = this.#steps.map((step, index) => bind(step, index, step.params));
    const others = new Map<number, Step>();
    for (const [index, step] of this.#steps.entries()) {
      if (step.otherParams) others.set(index, bind(step, index, step.otherParams));
    }
    device.queue.writeBuffer(params, 0, all);
    return {
      steps,
      others,
      scratch,
      dispose() {
        for (const buffer of owned) memory.release(buffer);
      },
    };
  }

  /** GPU bytes that `build` will take. */
  get bytes(): number {
    const scratch = this.#plan().sizes.reduce((sum, bytes) => sum + bytes, 0);
    return scratch + this.#uniforms * UNIFORM_STRIDE;
  }

  get #uniforms(): number {
    return this.#steps.length + this.#steps.filter((step) => step.otherParams).length;
  }

  #allocate(lent: readonly GPUBuffer[]): GPUBuffer[] {
    const { sizes, places } = this.#plan();
    const buffers = sizes.map((bytes, place) => {
      const given = lent[place];
      if (given && given.size >= bytes) return given;
      return this.#context.memory.storage("scratch", bytes);
    });
    for (const [scratch, place] of places) scratch.buffer = buffers[place];
    return buffers;
  }

  /** Gives every scratch a place: the smallest free one that is large enough, or a new one. */
  #plan(): { readonly sizes: readonly number[]; readonly places: ReadonlyMap<Scratch, number> } {
    const sizes: number[] = [];
    const places = new Map<Scratch, number>();
    const free = new Set<number>();
    const live = new Set<Scratch>();
    const ordered = this.#scratch
      .filter((scratch) => scratch.firstStep >= 0)
      .sort((a, b) => a.firstStep - b.firstStep || b.bytes - a.bytes);
    for (const scratch of ordered) {
      for (const other of live) {
        if (other.lastStep < scratch.firstStep) {
          live.delete(other);
          free.add(places.get(other)!);
        }
      }
      const fitting = [...free].filter((place) => sizes[place]! >= scratch.bytes);
      let place = fitting.sort((a, b) => sizes[a]! - sizes[b]!)[0];
      if (place === undefined) {
        place = sizes.length;
        sizes.push(Math.max(MIN_SCRATCH_BYTES, scratch.bytes));
      }
      free.delete(place);
      places.set(scratch, place);
      live.add(scratch);
    }
    return { sizes, places };
  }
}

/** How the buffers of a bind group begin: at a binding, or behind params that take an offset. */
interface GroupStart {
  readonly first?: number;
  readonly params?: { readonly buffer: GPUBuffer; readonly size: number };
}

/** Bind groups, one for each list of buffers. */
class SharedGroups {
  readonly #device: GPUDevice;
  readonly #groups = new Map<
    GPUBindGroupLayout,
    {
      readonly buffers: readonly GPUBuffer[];
      readonly size: number | undefined;
      readonly group: GPUBindGroup;
    }[]
  >();

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  group(
    layout: GPUBindGroupLayout,
    buffers: readonly GPUBuffer[],
    { params, first = params ? 1 : 0 }: GroupStart = {},
  ): GPUBindGroup {
    const groups = this.#groups.get(layout) ?? [];
    this.#groups.set(layout, groups);
    const known = groups.find(
      (group) =>
        group.size === params?.size && group.buffers.every((each, i) => each === buffers[i]),
    );
    if (known) return known.group;
    const entries = buffers.map((buffer, index) => ({
      binding: first + index,
      resource: { buffer } as GPUBufferBinding,
    }));
    if (params) entries.unshift({ binding: 0, resource: params });
    const group = this.#device.createBindGroup({ layout, entries });
    groups.push({ buffers, size: params?.size, group });
    return group;
  }
}

/** A buffer for each of a kernel's weight bindings. */
function weightBuffers(
  bindings: number,
  weights: GPUBuffer | readonly GPUBuffer[] = [],
): readonly GPUBuffer[] {
  const given = Array.isArray(weights) ? weights : [weights as GPUBuffer];
  return Array.from({ length: bindings }, (_, index) => given[Math.min(index, given.length - 1)]!);
}

function isScratch(bound: Bound): bound is Scratch {
  return "firstStep" in bound;
}

/** Which steps of a pass to encode. */
export interface StepRange {
  readonly first: number;
  readonly end: number;
  readonly tokens: number;
  /** MoE layers whose router only chooses: the host writes their slots. */
  readonly chosenByHost: ReadonlySet<number>;
}

/** Encodes steps of a program into `pass`; the dispatches encoded. */
export function encodeSteps(
  pass: GPUComputePassEncoder,
  program: Program,
  { first, end, tokens, chosenByHost }: StepRange,
): number {
  const bound: (GPUBindGroup | undefined)[] = [];
  for (let index = first; index < end; index++) {
    const router = program.routers.get(index);
    const step = router && chosenByHost.has(router.moe) ? router.chooser : program.steps[index]!;
    encodeStep(pass, step, tokens, bound);
  }
  return Math.max(0, end - first);
}

/**
 * Encodes one step for a pass of `tokens` tokens.
 * @param bound the groups that steps before it have left in their places, which stay: most steps share the control block's
 */
export function encodeStep(
  pass: GPUComputePassEncoder,
  step: Step,
  tokens: number,
  bound: (GPUBindGroup | undefined)[] = [],
): void {
  pass.setPipeline(step.pipeline);
  if (step.immediates) pass.setImmediates(0, step.immediates);
  for (let index = 0; index < step.groups.length; index++) {
    const group = step.groups[index];
    if (!group) continue;
    if (index === 0) {
      pass.setBindGroup(0, group, step.offsets, 0, step.offsets.length);
    } else if (bound[index] !== group) {
      pass.setBindGroup(index, group);
      bound[index] = group;
    }
  }
  const [x, y, z] = step.grid(tokens);
  pass.dispatchWorkgroups(x, y, z);
}
