import { SluiceError } from "../errors.ts";
import { type GpuClock, least, timeRepeated } from "./clock.ts";
import type { GpuContext } from "./device.ts";
import { encodeParams, type Kernel, type ParamValues } from "./kernel.ts";
import { PipelineCache } from "./pipelines.ts";

/** What a device was measured to be able to do at most. */
export interface Ceilings {
  /** Of a copying kernel: bytes read and bytes written. */
  readonly copyBytesPerSecond: number;
  /** In f32, in registers. */
  readonly multiplyAddsPerSecond: number;
  /** One more dispatch, of a kernel that does nothing. */
  readonly dispatchMicroseconds: number;
  /** A submit of nothing, and the host's knowing that it is done. */
  readonly readbackMilliseconds: number;
  /** From the host's memory, in large pieces. */
  readonly uploadBytesPerSecond: number;
}

/** The kernels that a device is measured with: `copyWords`, `multiplyAdd` and `idle` of `src/kernels`. */
export interface ProbeKernels {
  readonly copy: Kernel<{ quads: "u32" }, { x: "read"; y: "read_write" }>;
  readonly multiplyAdd: Kernel<
    { threads: "u32"; rounds: "u32"; factor: "f32" },
    { y: "read_write" }
  >;
  readonly idle: Kernel<{ writes: "u32" }, { y: "read_write" }>;
}

/** Bytes of each of the two buffers of a copy: beyond a GPU's caches, where it has room for them. */
const COPY_BYTES = { gpu: [64 << 20, 16 << 20, 4 << 20], software: [8 << 20, 2 << 20] } as const;

/** Threads and rounds of the arithmetic: enough for all units of a large GPU, and for few of a processor. */
const ARITHMETIC = {
  gpu: { threads: 1 << 20, rounds: 512 },
  software: { threads: 1 << 12, rounds: 128 },
} as const;

/** Bytes of one upload. */
const UPLOAD_BYTES = 4 << 20;

/**
 * Measures what the device can do, in about a second. Takes up to 128 MB of it meanwhile.
 * Throws "out-of-memory" where there is room for hardly anything.
 */
export async function measureCeilings(
  context: GpuContext,
  clock: GpuClock,
  { copy, multiplyAdd, idle }: ProbeKernels,
): Promise<Ceilings> {
  const { software, memory } = context;
  const kind = software ? "software" : "gpu";
  const [from, to] = await allocatePair(context, COPY_BYTES[kind]);
  try {
    const quads = from.size / 16;
    const copyMs = await timeKernel(context, clock, copy, { quads }, [from, to]);
    const arithmetic = { ...ARITHMETIC[kind], factor: 0.5 };
    const arithmeticMs = await timeKernel(context, clock, multiplyAdd, arithmetic, [to]);
    const idleMs = await timeKernel(context, clock, idle, { writes: 0 }, [to]);
    const { multiplyAdds } = multiplyAdd.work!(arithmetic, multiplyAdd.constants, ONE_TOKEN);
    return {
      copyBytesPerSecond: (2 * from.size * 1000) / copyMs,
      multiplyAddsPerSecond: (multiplyAdds * 1000) / arithmeticMs,
      dispatchMicroseconds: 1000 * idleMs,
      readbackMilliseconds: clock.readbackMs,
      uploadBytesPerSecond: await measureUpload(context, clock, to),
    };
  } finally {
    memory.release(from);
    memory.release(to);
  }
}

const ONE_TOKEN = { tokens: 1, position: 0 } as const;

/** Two buffers of the first of `sizes` that there is room for. */
async function allocatePair(
  { memory }: GpuContext,
  sizes: readonly number[],
): Promise<readonly [GPUBuffer, GPUBuffer]> {
  for (const [index, size] of sizes.entries()) {
    const bytes = Math.min(size, memory.maxBytes);
    try {
      return await memory.guard("a measurement", () => [
        memory.storage("probe", bytes),
        memory.storage("probe", bytes),
      ]);
    } catch (error) {
      const refused = error instanceof SluiceError && error.code === "out-of-memory";
      if (!refused || index === sizes.length - 1) throw error;
    }
  }
  throw new Error("unreachable: there is a size to try");
}

/** Milliseconds of one dispatch of `kernel`. */
async function timeKernel<Params extends Record<string, "u32" | "f32">>(
  { device }: GpuContext,
  clock: GpuClock,
  kernel: Kernel<Params, Record<string, "read" | "read_write">>,
  values: ParamValues<Params>,
  buffers: readonly GPUBuffer[],
): Promise<number> {
  const plain = kernel as unknown as Kernel;
  // With pipelines of its own: its params are bound here, wherever the device's other kernels have theirs.
  const { pipeline, layouts } = await new PipelineCache(device).compile(
    plain,
    [],
    kernel.constants,
  );
  const bytes = encodeParams(kernel.params, values);
  const params = device.createBuffer({
    label: kernel.name,
    size: bytes.byteLength,
    usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
  });
  device.queue.writeBuffer(params, 0, bytes);
  const group = device.createBindGroup({
    layout: layouts.buffers,
    entries: [params, ...buffers].map((buffer, binding) => ({ binding, resource: { buffer } })),
  });
  const grid = kernel.grid(values, kernel.constants, 1);
  try {
    const encode = (pass: GPUComputePassEncoder) => {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(...grid);
    };
    return await clock.timePass(encode, () => {}, least);
  } finally {
    params.destroy();
  }
}

async function measureUpload(
  { device }: GpuContext,
  clock: GpuClock,
  to: GPUBuffer,
): Promise<number> {
  const bytes = new Uint8Array(Math.min(UPLOAD_BYTES, to.size));
  // What is written before a submit is a part of what the submit waits for, but the host's own copy is not timed by it.
  const ms = await timeRepeated(async (runs) => {
    const started = performance.now();
    for (let run = 0; run < runs; run++) device.queue.writeBuffer(to, 0, bytes);
    const writtenMs = performance.now() - started;
    return writtenMs + (await clock.time(() => {}));
  }, least);
  return (bytes.length * 1000) / ms;
}
