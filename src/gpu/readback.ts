/** Reads small results back: one staging buffer, mapped once for each call. Owned by its maker, who calls `dispose`. */
export class Readback {
  readonly #device: GPUDevice;
  #staging: GPUBuffer | undefined;

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Appends copies of `ranges` to `encoder`, one after another in staging. Sizes and offsets are multiples of 4. */
  encode(encoder: GPUCommandEncoder, ranges: readonly ReadRange[]): void {
    const bytes = ranges.reduce((sum, range) => sum + range.bytes, 0);
    if (!this.#staging || this.#staging.size < bytes) {
      this.#staging?.destroy();
      this.#staging = this.#device.createBuffer({
        label: "readback",
        size: bytes,
        usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
      });
    }
    let offset = 0;
    for (const { buffer, byteOffset, bytes } of ranges) {
      encoder.copyBufferToBuffer(buffer, byteOffset, this.#staging, offset, bytes);
      offset += bytes;
    }
  }

  /** What the last `encode` asked for, once the submitted work is done: `bytes` of it, a copy. */
  async read(bytes: number): Promise<ArrayBuffer> {
    const staging = this.#staging;
    if (!staging) throw new Error("unreachable: nothing was encoded to be read");
    const stopNudging = nudge(this.#device);
    try {
      await staging.mapAsync(GPUMapMode.READ, 0, bytes);
    } finally {
      stopNudging();
    }
    const copy = staging.getMappedRange(0, bytes).slice(0);
    staging.unmap();
    return copy;
  }

  dispose(): void {
    this.#staging?.destroy();
    this.#staging = undefined;
  }
}

/** A piece of a buffer to be read. */
export interface ReadRange {
  readonly buffer: GPUBuffer;
  readonly byteOffset: number;
  readonly bytes: number;
}

const NUDGE_MS = 1;

/**
 * Firefox looks for finished work every 100 ms unless something is submitted: empty submits wake it up, and a readback
 * takes a few milliseconds. Bugzilla 1870699; delete this when a `mapAsync` there resolves at once by itself.
 */
function nudge(device: GPUDevice): () => void {
  if (typeof navigator === "undefined" || !navigator.userAgent?.includes("Firefox"))
    return () => {};
  const timer = setInterval(() => device.queue.submit([]), NUDGE_MS);
  return () => clearInterval(timer);
}
