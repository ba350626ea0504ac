import { createPipelines } from "../../src/gpu/device.ts";
import {
  type Access,
  type Constants,
  encodeParams,
  type Kernel,
  type ParamType,
  type ParamValues,
} from "../../src/gpu/kernel.ts";
import type { PipelineCache } from "../../src/gpu/pipelines.ts";
import { Readback } from "../../src/gpu/readback.ts";
import { gpuTest } from "./gpu.ts";

/** The control block that a kernel is run with (`shaders/control/read.wgsl`). */
export interface ControlValues {
  readonly tokens: number;
  readonly position?: number;
  readonly tokenIds?: readonly number[];
  readonly fault?: number;
  /** 1 where the token that is chosen is what the next pass computes. */
  readonly continues?: number;
}

/** What a buffer holds before the run, or how many bytes it has: then it is filled with {@link UNWRITTEN}. */
export type BufferContent = Float32Array | Uint32Array | number;

/** One dispatch of a kernel. */
export interface KernelRun<
  Params extends Record<string, ParamType>,
  Buffers extends Record<string, Access>,
> {
  readonly params: ParamValues<Params>;
  readonly buffers: { readonly [name in keyof Buffers]: BufferContent };
  /**
   * Weight tensors in the GPU's layout (what `repackMatrix` gives), one for each binding; the last one stands for those
   * that are left out, too.
   */
  readonly weights?: Uint8Array<ArrayBuffer> | readonly Uint8Array<ArrayBuffer>[];
  readonly parts?: readonly string[];
  /** Replaces the kernel's defaults. */
  readonly constants?: Constants;
  readonly control: ControlValues;
  /** Tokens that the grid is made for: the control block's if left out. */
  readonly tokens?: number;
  /** The kernel may write all of the control block. */
  readonly writesControl?: boolean;
}

/** A buffer after the run, twice the same bytes; `before` are its words before the run. */
export interface Output {
  readonly floats: Float32Array<ArrayBuffer>;
  readonly words: Uint32Array<ArrayBuffer>;
  readonly before: Uint32Array<ArrayBuffer>;
}

/** The buffers that a kernel may write, the control block and its fault flag, after its run. */
export type KernelResult<Buffers extends Record<string, Access>> = {
  readonly [name in keyof Buffers as Buffers[name] extends "read_write" ? name : never]: Output;
} & {
  readonly fault: number;
  /** The control block's words. */
  readonly control: Uint32Array<ArrayBuffer>;
};

/** What is in a buffer where nobody wrote: a NaN as f32, so that no bound holds for it. */
export const UNWRITTEN = 0xffa5_a5a5;

/** Both adapters of the tests compute on the processor; Firefox does not tell. */
const IS_SOFTWARE = true;

/** Bytes after each buffer, inside its binding, that no kernel may write and that spoil what reads them. */
const GUARD_BYTES = 256;
/** Words of the control block before the token ids. */
const CONTROL_HEADER = 4;

/**
 * Runs `kernel` once, with its params and parts as the engine has them on this device, and returns what it wrote.
 *
 * Fails if it wrote past the end of a buffer, or anything but `fault` in the control block unless it may. What it only
 * reads, WebGPU keeps it from writing.
 */
export async function runKernel<
  const Params extends Record<string, ParamType>,
  const Buffers extends Record<string, Access>,
>(
  device: GPUDevice,
  cache: PipelineCache,
  kernel: Kernel<Params, Buffers>,
  run: KernelRun<Params, Buffers>,
): Promise<KernelResult<Buffers>> {
  const constants = { ...kernel.constants, ...run.constants };
  const {
    pipeline,
    layouts,
    params: place,
  } = await cache.compile(kernel as unknown as Kernel, run.parts ?? [], constants);
  const control = controlWords(run.control);
  const contents = Object.keys(kernel.buffers).map((name) => wordsOf(run.buffers[name]!));
  const buffers = contents.map((words) => storageBuffer(device, words));
  const controlBuffer = storageBuffer(device, control);
  const values = encodeParams(kernel.params, run.params);
  const params = place === "immediate" ? undefined : paramsBuffer(device, values);
  const weights = weightList(run.weights).map((each) => storageBuffer(device, wordsOf(each)));

  const encoder = device.createCommandEncoder({ label: kernel.name });
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  if (params) {
    pass.setBindGroup(0, bindGroup(device, layouts.buffers, [params, ...buffers]), [0]);
  } else {
    pass.setImmediates(0, values);
    pass.setBindGroup(0, bindGroup(device, layouts.buffers, buffers, 1));
  }
  if (layouts.weights && weights.length > 0) {
    const bound = Array.from({ length: Number(kernel.weights) }, (_, binding) =>
      at(weights, binding),
    );
    pass.setBindGroup(1, bindGroup(device, layouts.weights, bound));
  }
  if (layouts.control) pass.setBindGroup(2, bindGroup(device, layouts.control, [controlBuffer]));
  pass.dispatchWorkgroups(...kernel.grid(run.params, constants, run.tokens ?? run.control.tokens));
  pass.end();
  const read = [...buffers, controlBuffer];
  const words = await readWords(device, encoder, read);
  for (const buffer of [...read, ...weights]) buffer.destroy();
  params?.destroy();

  const controlAfter = unguarded(`${kernel.name}: control`, words.pop()!);
  const isChanged = controlAfter.slice(1).some((word, index) => word !== control[index + 1]);
  if (isChanged && !run.writesControl) {
    throw new Error(`${kernel.name} wrote into the control block`);
  }
  const outputs = Object.entries(kernel.buffers).flatMap(([name, access], index) => {
    if (access === "read") return [];
    const after = unguarded(`${kernel.name}: ${name}`, words[index]!);
    return [[name, { floats: floatsOf(after), words: after, before: contents[index]! }]];
  });
  return { ...Object.fromEntries(outputs), fault: controlAfter[0], control: controlAfter };
}

/**
 * A `gpuTest` whose context has `run`: {@link runKernel} with the file's device and its pipelines.
 *
 * @example
 * kernelTest("doubles", async ({ run }) => {
 *   const { y } = await run(double, { params: {}, buffers: { x, y: 16 }, control: { tokens: 1 } });
 *   expect(y.floats).toEqual(x.map((value) => 2 * value));
 * });
 */
export const kernelTest = gpuTest.extend<{
  $file: { cache: PipelineCache };
  $test: { run: RunKernel };
}>({
  cache: [
    async ({ fileDevice }, use) => use(createPipelines(navigator.gpu, fileDevice, IS_SOFTWARE)),
    { scope: "file" },
  ],
  // Its types are spelled out since a fixture that is a function could be meant as the fixture's value.
  run: async (
    { device, cache }: { readonly device: GPUDevice; readonly cache: PipelineCache },
    use: (run: RunKernel) => Promise<void>,
  ) => use((kernel, values) => runKernel(device, cache, kernel, values)),
});

/** {@link runKernel} on a device. */
export type RunKernel = <
  const Params extends Record<string, ParamType>,
  const Buffers extends Record<string, Access>,
>(
  kernel: Kernel<Params, Buffers>,
  run: KernelRun<Params, Buffers>,
) => Promise<KernelResult<Buffers>>;

function controlWords(values: ControlValues): Uint32Array<ArrayBuffer> {
  const { tokens, position = 0, tokenIds = [], fault = 0, continues = 0 } = values;
  const words = new Uint32Array(CONTROL_HEADER + Math.max(1, tokens, tokenIds.length));
  words.set([fault, tokens, position, continues, ...tokenIds]);
  return words;
}

function weightList(weights: KernelRun<never, never>["weights"] = []) {
  return weights instanceof Uint8Array ? [weights] : weights;
}

/** The element at `index`, or the last one. */
function at<T>(list: readonly T[], index: number): T {
  return list[Math.min(index, list.length - 1)]!;
}

/** A copy of the words that `content` stands for. */
function wordsOf(content: BufferContent | Uint8Array): Uint32Array<ArrayBuffer> {
  if (typeof content === "number") return new Uint32Array(content / 4).fill(UNWRITTEN);
  return new Uint32Array(
    new Uint8Array(content.buffer, content.byteOffset, content.byteLength).slice().buffer,
  );
}

function floatsOf(words: Uint32Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  return new Float32Array(words.buffer, words.byteOffset, words.length);
}

/** A buffer that holds `words` and a guard. Owned by the caller. */
function storageBuffer(device: GPUDevice, words: Uint32Array<ArrayBuffer>): GPUBuffer {
  const size = words.byteLength + GUARD_BYTES;
  const { STORAGE, COPY_SRC } = GPUBufferUsage;
  const buffer = device.createBuffer({ size, usage: STORAGE | COPY_SRC, mappedAtCreation: true });
  const mapped = new Uint32Array(buffer.getMappedRange());
  mapped.fill(UNWRITTEN);
  mapped.set(words);
  buffer.unmap();
  return buffer;
}

function paramsBuffer(device: GPUDevice, bytes: ArrayBuffer): GPUBuffer {
  const { UNIFORM, STORAGE, COPY_DST } = GPUBufferUsage;
  const usage = UNIFORM | STORAGE | COPY_DST;
  const buffer = device.createBuffer({ size: bytes.byteLength, usage });
  device.queue.writeBuffer(buffer, 0, bytes);
  return buffer;
}

function bindGroup(
  device: GPUDevice,
  layout: GPUBindGroupLayout,
  buffers: readonly GPUBuffer[],
  first = 0,
): GPUBindGroup {
  const entries = buffers.map((buffer, index) => ({
    binding: first + index,
    resource: { buffer },
  }));
  return device.createBindGroup({ layout, entries });
}

/** Submits `encoder` and returns the words of each buffer, guards included. */
async function readWords(
  device: GPUDevice,
  encoder: GPUCommandEncoder,
  buffers: readonly GPUBuffer[],
): Promise<Uint32Array<ArrayBuffer>[]> {
  const readback = new Readback(device);
  const ranges = buffers.map((buffer) => ({ buffer, byteOffset: 0, bytes: buffer.size }));
  const read = readback.encode(encoder, ranges);
  device.queue.submit([encoder.finish()]);
  const bytes = await read();
  readback.dispose();
  let offset = 0;
  return buffers.map(({ size }) => {
    const words = new Uint32Array(bytes, offset, size / 4);
    offset += size;
    return words;
  });
}

/** `words` without their guard, which must be whole. */
function unguarded(what: string, words: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const end = words.length - GUARD_BYTES / 4;
  const broken = words.subarray(end).findIndex((word) => word !== UNWRITTEN);
  if (broken !== -1) throw new Error(`${what}: written ${broken} words past its end`);
  return words.subarray(0, end);
}
