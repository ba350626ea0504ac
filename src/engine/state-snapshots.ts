/** A part of a recurrent layer's state, and room for a copy of it. */
export interface Snapshot {
  readonly state: GPUBuffer;
  readonly copy: GPUBuffer;
}

/**
 * Copies of recurrent states, on the GPU: what a pass over drafted tokens advanced too far goes back to where it was.
 * Both calls take effect behind what was submitted before them.
 */
export class StateSnapshots {
  readonly #device: GPUDevice;
  readonly #snapshots: readonly Snapshot[];

  constructor(device: GPUDevice, snapshots: readonly Snapshot[]) {
    this.#device = device;
    this.#snapshots = snapshots;
  }

  take(): void {
    this.#copy(({ state, copy }) => [state, copy]);
  }

  restore(): void {
    this.#copy(({ state, copy }) => [copy, state]);
  }

  #copy(ends: (snapshot: Snapshot) => readonly [from: GPUBuffer, to: GPUBuffer]): void {
    if (this.#snapshots.length === 0) return;
    const encoder = this.#device.createCommandEncoder({ label: "states" });
    for (const snapshot of this.#snapshots) {
      const [from, to] = ends(snapshot);
      encoder.copyBufferToBuffer(from, 0, to, 0, from.size);
    }
    this.#device.queue.submit([encoder.finish()]);
  }
}
