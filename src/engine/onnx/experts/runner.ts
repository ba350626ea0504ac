import type { CompiledGraph, HeldTensor, OnnxRuntime } from "../../../onnx/runtime.ts";
import type { ExpertItem, JobBoard } from "./board.ts";
import { type ExpertForm, type ExpertGraph, slotTensors } from "./forms.ts";

/** A slot that this thread knows. */
interface KnownSlot {
  readonly memory: Uint8Array;
  /** As graphs of a form take it. */
  tensors: { readonly form: number; readonly held: readonly HeldTensor[] } | undefined;
}

/** A graph that is ready. */
interface ReadyGraph extends Pick<ExpertGraph, "x" | "experts"> {
  readonly compiled: CompiledGraph;
}

interface ReadyForm {
  readonly form: ExpertForm;
  readonly one: ReadyGraph;
  readonly several: ReadyGraph | undefined;
}

/** Computes experts in one thread. */
export class ExpertRunner {
  readonly #runtime: OnnxRuntime;
  readonly #forms: ReadyForm[] = [];
  readonly #slots = new Map<number, KnownSlot>();

  constructor(runtime: OnnxRuntime) {
    this.#runtime = runtime;
  }

  /** Makes the graphs of form `number` ready. Throws as `OnnxRuntime.open`. */
  async addForm(number: number, form: ExpertForm): Promise<void> {
    const one = await this.#open(form.one);
    try {
      const several = form.several && (await this.#open(form.several));
      this.#forms[number] = { form, one, several };
    } catch (error) {
      await one.compiled.dispose();
      throw error;
    }
  }

  /** A slot's memory, from now on. */
  hold(slot: number, memory: Uint8Array): void {
    this.#slots.set(slot, { memory, tensors: undefined });
  }

  drop(slots: readonly number[]): void {
    for (const slot of slots) this.#slots.delete(slot);
  }

  /** Computes an item, and leaves what it came to on the board. Throws as `CompiledGraph.run`. */
  async compute(board: JobBoard, item: ExpertItem): Promise<void> {
    const { hidden } = board;
    const { one, several } = this.#forms[item.form]!;
    const { compiled, x, experts } = item.slots.length === 1 ? one : several!;
    const rows = item.slots.length === 1 ? rowsOf(board, item) : board.x.subarray(0, hidden);
    const held: [string, HeldTensor][] = [];
    for (const [index, { inputs }] of experts.entries()) {
      const tensors = this.#tensors(item.form, item.slots[index]!);
      for (const [at, { name }] of inputs.entries()) held.push([name, tensors[at]!]);
    }
    const dims = [rows.length / hidden, hidden];
    const outputs = await compiled.run([[x, { type: "float32", data: rows, dims }]], held);
    let pair = 0;
    for (const { y } of experts) {
      const values = outputs.get(y)!.data as Float32Array;
      for (let first = 0; first < values.length; first += hidden) {
        board.y.set(values.subarray(first, first + hidden), item.pairs[pair++]! * hidden);
      }
    }
  }

  async dispose(): Promise<void> {
    for (const { one, several } of this.#forms) {
      await one.compiled.dispose();
      await several?.compiled.dispose();
    }
    this.#slots.clear();
  }

  async #open({ model, x, experts }: ExpertGraph): Promise<ReadyGraph> {
    // What depends on nothing but what the graph holds are shapes: it holds no weights.
    return { compiled: await this.#runtime.open(model, { folds: true }), x, experts };
  }

  #tensors(form: number, number: number): readonly HeldTensor[] {
    const slot = this.#slots.get(number);
    if (!slot) throw new Error(`unreachable: nothing is known of slot ${number}`);
    if (slot.tensors?.form !== form) {
      const { form: own, one } = this.#forms[form]!;
      const held = slotTensors(own, slot.memory).map((tensor) => one.compiled.hold(tensor));
      slot.tensors = { form, held };
    }
    return slot.tensors.held;
  }
}

/** What an item's expert reads: the row of each pair's token. */
function rowsOf({ x, hidden }: JobBoard, { pairs, topK }: ExpertItem): Float32Array {
  const rowOf = (pair: number) => {
    const first = Math.floor(pair / topK) * hidden;
    return x.subarray(first, first + hidden);
  };
  if (pairs.length === 1) return rowOf(pairs[0]!);
  const rows = new Float32Array(pairs.length * hidden);
  for (const [index, pair] of pairs.entries()) rows.set(rowOf(pair), index * hidden);
  return rows;
}
