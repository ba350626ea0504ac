import type { MoeSpec, Routing } from "../ops.ts";
import type { MoeSteps, Program, Step } from "../program.ts";
import { recordExperts } from "./experts.ts";
import type { GpuTensor, Recording } from "./recording.ts";
import { type RoutingBuffers, type RoutingTarget, recordRouter, recordTable } from "./routers.ts";

/** Where a layer's choice lies. */
export interface GpuRouting extends Routing {
  readonly moe: number;
  /** The router's step. */
  readonly router: number;
}

/** A MoE layer before its program is built. */
type PendingMoe = Omit<MoeSteps, "chooser">;

/** Records the routers and experts of a pass. Owns the buffers of their choices until `dispose`. */
export class MoeRecording {
  readonly #recording: Recording;
  readonly #moe: readonly MoeSpec[];
  readonly #steps: PendingMoe[] = [];
  readonly #routingFirst: number[] = [];
  readonly #owned: GPUBuffer[] = [];
  readonly #choices: RoutingBuffers;
  /** Where guesses go; only their ids are ever read. */
  readonly #guesses: RoutingBuffers | undefined;

  /** @param guesses also runs each layer's router on what the layer before reads */
  constructor(recording: Recording, moe: readonly MoeSpec[], guesses: boolean) {
    this.#recording = recording;
    this.#moe = moe;
    let choices = 0;
    for (const spec of moe) {
      this.#routingFirst.push(choices);
      choices += recording.maxTokens * spec.topK;
    }
    this.#choices = this.#buffers("expert", choices);
    this.#guesses = guesses ? this.#buffers("guessed expert", choices) : undefined;
  }

  route(x: GpuTensor, spec: MoeSpec): GpuRouting {
    return this.#route(spec, (of, target) => recordRouter(this.#recording, x, of, target));
  }

  routeByToken(spec: MoeSpec): GpuRouting {
    return this.#route(spec, (of, target) => recordTable(this.#recording, of, target));
  }

  /** The choice of a layer and, where it is wanted, the guess for the next one. */
  #route(spec: MoeSpec, record: (of: MoeSpec, target: RoutingTarget) => void): GpuRouting {
    const moe = this.#moe.indexOf(spec);
    record(spec, this.#target(spec, this.#choices, "looks-up"));
    const router = this.#recording.recorder.length - 1;
    const next = this.#moe[moe + 1];
    if (this.#guesses && next) record(next, this.#target(next, this.#guesses, "chooses"));
    return { topK: spec.topK, moe, router };
  }

  #target(spec: MoeSpec, out: RoutingBuffers, task: RoutingTarget["task"]): RoutingTarget {
    const moe = this.#moe.indexOf(spec);
    return { moe, routingFirst: this.#routingFirst[moe]!, out, task };
  }

  experts(
    x: GpuTensor,
    choice: GpuRouting,
    spec: MoeSpec,
    { residual }: { residual?: GpuTensor } = {},
  ): GpuTensor {
    const choices = { buffers: this.#choices, first: this.#routingFirst[choice.moe]! };
    const { y, first, end, sums } = recordExperts(this.#recording, x, choices, spec, residual);
    this.#steps.push({ moe: choice.moe, router: choice.router, first, end, sums });
    return y;
  }

  /** GPU bytes of the choices. */
  get bytes(): number {
    return this.#owned.reduce((sum, buffer) => sum + buffer.size, 0);
  }

  dispose(): void {
    for (const buffer of this.#owned) this.#recording.gpu.context.memory.release(buffer);
  }

  /** @param others what may be encoded in the place of a router's step: it only chooses */
  finish(
    others: ReadonlyMap<number, Step>,
  ): Pick<Program, "moe" | "routers" | "ids" | "slots" | "routingFirst" | "guesses"> {
    const moe = this.#steps
      .map((place) => ({ ...place, chooser: others.get(place.router)! }))
      .sort((a, b) => a.moe - b.moe);
    return {
      moe,
      routers: new Map(moe.map((place) => [place.router, place])),
      ids: this.#choices.ids,
      slots: this.#choices.slots,
      routingFirst: this.#routingFirst,
      guesses: this.#guesses?.ids,
    };
  }

  #buffers(whose: string, choices: number): RoutingBuffers {
    const { memory } = this.#recording.gpu.context;
    const buffer = (what: string) => {
      const made = memory.storage(`${whose} ${what}`, 4 * choices);
      this.#owned.push(made);
      return made;
    };
    return { ids: buffer("ids"), slots: buffer("slots"), weights: buffer("weights") };
  }
}
