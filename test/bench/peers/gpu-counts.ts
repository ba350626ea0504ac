import type { GpuCounts } from "../../../src/cli/bench/peers.ts";

/** Counts what a page asks of WebGPU, whoever asks: by standing in front of the prototypes' methods. */
export class GpuCounter {
  readonly #restore: (() => void)[] = [];
  #counts = nothing();

  constructor() {
    this.#wrap(GPUComputePassEncoder.prototype, "dispatchWorkgroups", "dispatches");
    this.#wrap(GPUComputePassEncoder.prototype, "dispatchWorkgroupsIndirect", "dispatches");
    this.#wrap(GPUQueue.prototype, "submit", "submits");
    this.#wrap(GPUQueue.prototype, "writeBuffer", "bufferWrites");
    this.#wrap(GPUBuffer.prototype, "mapAsync", "readbacks");
    this.#wrap(GPUDevice.prototype, "createBindGroup", "bindGroups");
  }

  /** What `work` asked for. */
  async count(work: () => Promise<unknown>): Promise<GpuCounts> {
    this.#counts = nothing();
    await work();
    return { ...this.#counts };
  }

  dispose(): void {
    for (const restore of this.#restore) restore();
  }

  #wrap<Target extends object>(
    target: Target,
    method: keyof Target & string,
    counted: keyof GpuCounts,
  ): void {
    const original = target[method] as (...args: unknown[]) => unknown;
    const add = () => {
      this.#counts[counted]++;
    };
    target[method] = function (this: unknown, ...args: unknown[]) {
      add();
      return original.apply(this, args);
    } as Target[keyof Target & string];
    this.#restore.push(() => {
      target[method] = original as Target[keyof Target & string];
    });
  }
}

function nothing(): { -readonly [Key in keyof GpuCounts]: GpuCounts[Key] } {
  return { dispatches: 0, submits: 0, readbacks: 0, bindGroups: 0, bufferWrites: 0 };
}
