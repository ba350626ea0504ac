/**
 * Reads small results back. Each read has a staging buffer of its own, so that several can be under way; the buffers are
 * used again. Owned by its maker, who calls `dispose`.
 */
export class Readback {
  readonly #device: GPUDevice;
  #free: GPUBuffer[] = [];
  readonly #all = new Set<GPUBuffer>();
  #pending = 0;
  #stopNudging = () => {};

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /**
   * Appends copies of `ranges` to `encoder`, one after another in staging. Sizes and offsets are multiples of 4. The
   * answer gives them once the encoder's work is submitted; it must be called, or the staging buffer is not used again.
   */
  encode(encoder: GPUCommandEncoder, ranges: readonly ReadRange[]): () => Promise<ArrayBuffer> {
    const bytes = ranges.reduce((sum, range) => sum + range.bytes, 0);
    const staging = this.#take(bytes);
    let offset = 0;
    for (const { buffer, byteOffset, bytes } of ranges) {
      encoder.copyBufferToBuffer(buffer, byteOffset, staging, offset, bytes);
      offset += bytes;
    }
    return () => this.#read(staging, bytes);
  }

  dispose(): void {
    for (const buffer of this.#all) buffer.destroy();
    this.#all.clear();
    this.#free = [];
  }

  /** A copy of the first `bytes`. */
  async #read(staging: GPUBuffer, bytes: number): Promise<ArrayBuffer> {
    if (this.#pending++ === 0) this.#stopNudging = nudge(this.#device);
    try {
      await staging.mapAsync(GPUMapMode.READ, 0, bytes);
    } finally {
      if (--this.#pending === 0) this.#stopNudging();
    }
    const copy = staging.getMappedRange(0, bytes).slice(0);
    staging.unmap();
    if (this.#all.has(staging)) this.#free.push(staging);
    return copy;
  }

  /** The smallest free buffer that is large enough, or a new one in place of the largest free one. */
  #take(bytes: number): GPUBuffer {
    this.#free.sort((a, b) => a.size - b.size);
    const fitting = this.#free.findIndex((buffer) => buffer.size >= bytes);
    if (fitting >= 0) return this.#free.splice(fitting, 1)[0]!;
    const outgrown = this.#free.pop();
    if (outgrown) {
      this.#all.delete(outgrown);
      outgrown.destroy();
    }
    const buffer = this.#device.createBuffer({
      label: "readback",
      size: bytes,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    this.#all.add(buffer);
    return buffer;
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
