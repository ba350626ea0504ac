import type { MoeSpec, Routing } from "../ops.ts";
import type { MoeSteps, Program, Step } from "../program.ts";
import { type RecordedExperts, recordExperts, recordExpertsBeside } from "./experts.ts";
import { lazyTensor } from "./lazy.ts";
import type { GpuTensor, Recording } from "./recording.ts";
import { type ChoiceBuffer, type RoutingTarget, recordRouter, recordTable } from "./routers.ts";

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
  readonly #choices: ChoiceBuffer;
  /** Where guesses go; only their ids are ever read. */
  readonly #guesses: ChoiceBuffer | undefined;

  /** @param guesses also runs each layer's router on what the layer before reads */
  constructor(recording: Recording, moe: readonly MoeSpec[], guesses: boolean) {
    this.#recording = recording;
    this.#moe = moe;
    let choices = 0;
    for (const spec of moe) {
      this.#routingFirst.push(choices);
      choices += recording.maxTokens * spec.topK;
    }
    this.#choices = this.#buffer("choices of experts", choices);
    this.#guesses = guesses ? this.#buffer("guessed choices of experts", choices) : undefined;
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

  #target(spec: MoeSpec, out: ChoiceBuffer, task: RoutingTarget["task"]): RoutingTarget {
    const moe = this.#moe.indexOf(spec);
    return { moe, routingFirst: this.#routingFirst[moe]!, out, task };
  }

  experts(
    x: GpuTensor,
    choice: GpuRouting,
    spec: MoeSpec,
    { residual }: { residual?: GpuTensor } = {},
  ): GpuTensor {
    const { buffer, count } = this.#choices;
    const first = this.#routingFirst[choice.moe]!;
    const choices = { buffer, slotsFirst: count + first, weightsFirst: 2 * count + first };
    const placed = (recorded: RecordedExperts) => {
      const { y, first, end, sums } = recorded;
      this.#steps.push({ moe: choice.moe, router: choice.router, first, end, sums });
      return y;
    };
    const record = () => placed(recordExperts(this.#recording, x, choices, spec, residual));
    if (residual) return record();
    const tensor = lazyTensor(
      { width: spec.hidden, single: false },
      {
        kind: "experts",
        recordBeside: (dense) => {
          const beside = recordExpertsBeside(this.#recording, x, choices, spec, dense);
          if (!beside) return undefined;
          tensor.settle?.(placed(beside));
          return beside;
        },
      },
      record,
    );
    return tensor;
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
  ): Pick<Program, "moe" | "routers" | "choices" | "slotsFirst" | "routingFirst" | "guesses"> {
    const moe = this.#steps
      .map((place) => ({ ...place, chooser: others.get(place.router)! }))
      .sort((a, b) => a.moe - b.moe);
    return {
      moe,
      routers: new Map(moe.map((place) => [place.router, place])),
      choices: this.#choices.buffer,
      slotsFirst: this.#choices.count,
      routingFirst: this.#routingFirst,
      guesses: this.#guesses?.buffer,
    };
  }

  #buffer(label: string, count: number): ChoiceBuffer {
    const buffer = this.#recording.gpu.context.memory.storage(label, 3 * 4 * count);
    this.#owned.push(buffer);
    return { buffer, count };
  }
}
