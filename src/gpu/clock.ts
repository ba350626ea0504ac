import { Readback } from "./readback.ts";

/** Runs of a measurement whose median counts. */
const SAMPLES = 5;

/** Readbacks that the cost of one is taken from. */
const READBACKS = 12;

/** Work is repeated until it takes so long, so that a readback's own jitter does not count. */
const ENOUGH_MS = 15;

/** The most repetitions in one command buffer: no driver may take it for a device that hangs. */
const MOST_RUNS = 4096;

/** How much more is tried at once when a measurement was far too short. */
const MOST_GROWTH = 16;

/**
 * Times a device's work from the host: from its submit to the end of a readback behind it, less what a readback alone
 * takes. Owned by its maker, who calls `dispose`.
 */
export class GpuClock {
  readonly #device: GPUDevice;
  readonly #readback: Readback;
  readonly #marker: GPUBuffer;
  /** What a submit and a readback take when there is nothing else to do. */
  readonly readbackMs: number;

  private constructor(device: GPUDevice, readback: Readback, marker: GPUBuffer, ms: number) {
    this.#device = device;
    this.#readback = readback;
    this.#marker = marker;
    this.readbackMs = ms;
  }

  /** A clock that has measured the device's readback. */
  static async create(device: GPUDevice): Promise<GpuClock> {
    const readback = new Readback(device);
    const marker = device.createBuffer({
      label: "clock",
      size: 16,
      usage: GPUBufferUsage.COPY_SRC,
    });
    const clock = new GpuClock(device, readback, marker, 0);
    const times: number[] = [];
    for (let i = 0; i < READBACKS; i++) times.push(await clock.#wall(() => {}));
    return new GpuClock(device, readback, marker, median(times));
  }

  /** Milliseconds that what `encode` records takes the device, once. */
  async time(encode: (encoder: GPUCommandEncoder) => void): Promise<number> {
    return Math.max(0, (await this.#wall(encode)) - this.readbackMs);
  }

  /**
   * Milliseconds of what `encode` records into a pass, repeated as often as it takes to measure it.
   * @param before is called before each submit
   */
  async timePass(
    encode: (pass: GPUComputePassEncoder) => void,
    before: () => void = () => {},
    pick: Pick = median,
  ): Promise<number> {
    const repeated = (runs: number) => {
      before();
      return this.time((encoder) => {
        const pass = encoder.beginComputePass();
        for (let run = 0; run < runs; run++) encode(pass);
        pass.end();
      });
    };
    return timeRepeated(repeated, pick);
  }

  dispose(): void {
    this.#readback.dispose();
    this.#marker.destroy();
  }

  async #wall(encode: (encoder: GPUCommandEncoder) => void): Promise<number> {
    const started = performance.now();
    const encoder = this.#device.createCommandEncoder({ label: "clock" });
    encode(encoder);
    const read = this.#readback.encode(encoder, [
      { buffer: this.#marker, byteOffset: 0, bytes: 4 },
    ]);
    this.#device.queue.submit([encoder.finish()]);
    await read();
    return performance.now() - started;
  }
}

/** Which of several measurements of the same work counts. */
export type Pick = (values: readonly number[]) => number;

/**
 * Milliseconds of one run, where `time` tells those of several: as many as take long enough, the first of which warm up.
 */
export async function timeRepeated(
  time: (runs: number) => Promise<number>,
  pick: Pick = median,
): Promise<number> {
  // A single run that was held up looks like work that takes long: a second one has to take as long.
  const timeTwice = async (runs: number) => {
    const ms = await time(runs);
    return ms < ENOUGH_MS ? ms : Math.min(ms, await time(runs));
  };
  let runs = 1;
  let ms = await timeTwice(runs);
  while (ms < ENOUGH_MS && runs < MOST_RUNS) {
    const wanted = Math.ceil((1.5 * runs * ENOUGH_MS) / Math.max(ms, 0.01));
    runs = Math.min(MOST_RUNS, wanted, MOST_GROWTH * runs);
    ms = await timeTwice(runs);
  }
  const times = [ms];
  for (let sample = 1; sample < SAMPLES; sample++) times.push(await time(runs));
  return pick(times) / runs;
}

/** The least of `values`: for what can be done at most, whatever else the machine does. */
export function least(values: readonly number[]): number {
  return Math.min(...values);
}

/** The middle one of `values`; of an even number, the upper of the two. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}
