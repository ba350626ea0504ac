import { SluiceError } from "../errors.ts";

/** Allocates buffers and counts their bytes, so that a budget can be kept. */
export class GpuMemory {
  readonly #device: GPUDevice;
  readonly #buffers = new Set<GPUBuffer>();
  #bytes = 0;
  /** The longest buffer that can be bound whole. */
  readonly maxBytes: number;

  /** @param maxBytes less than what the device allows, for tests of what does not fit into one buffer */
  constructor(device: GPUDevice, maxBytes = Number.POSITIVE_INFINITY) {
    this.#device = device;
    const { maxBufferSize, maxStorageBufferBindingSize } = device.limits;
    this.maxBytes = Math.min(maxBufferSize, maxStorageBufferBindingSize, maxBytes);
  }

  /** Bytes of all buffers that were made here and not released. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * A buffer of `bytes` (rounded up to 4, at least 16), owned by the caller, who passes it to `release`. Call it inside
   * `guard`, which turns a refusal into an error.
   */
  create(label: string, bytes: number, usage: GPUBufferUsageFlags): GPUBuffer {
    const size = Math.max(16, Math.ceil(bytes / 4) * 4);
    if (size > this.maxBytes) {
      throw new SluiceError(
        "missing-feature",
        `${label} needs a buffer of ${size} bytes; this adapter allows ${this.maxBytes}. Use a smaller model or context, or an adapter with a higher maxStorageBufferBindingSize.`,
      );
    }
    const buffer = this.#device.createBuffer({ label, size, usage });
    this.#buffers.add(buffer);
    this.#bytes += size;
    return buffer;
  }

  /** A storage buffer that can be written from the host and copied from. */
  storage(label: string, bytes: number): GPUBuffer {
    const { STORAGE, COPY_DST, COPY_SRC } = GPUBufferUsage;
    return this.create(label, bytes, STORAGE | COPY_DST | COPY_SRC);
  }

  release(buffer: GPUBuffer): void {
    if (!this.#buffers.delete(buffer)) return;
    this.#bytes -= buffer.size;
    buffer.destroy();
  }

  /** Runs `allocate` and throws "out-of-memory" if the device refused any of it; nothing stays allocated then. */
  async guard<Result>(what: string, allocate: () => Result | Promise<Result>): Promise<Result> {
    const before = new Set(this.#buffers);
    this.#device.pushErrorScope("out-of-memory");
    let result: Result;
    try {
      result = await allocate();
    } catch (error) {
      await this.#device.popErrorScope();
      this.#releaseAllBut(before);
      throw error;
    }
    const refusal = await this.#device.popErrorScope();
    if (refusal) {
      this.#releaseAllBut(before);
      throw new SluiceError(
        "out-of-memory",
        `The GPU has no room for ${what}: ${refusal.message}. Give a smaller GPU budget or context, or close other tabs.`,
      );
    }
    return result;
  }

  #releaseAllBut(kept: ReadonlySet<GPUBuffer>): void {
    for (const buffer of [...this.#buffers]) if (!kept.has(buffer)) this.release(buffer);
  }
}
