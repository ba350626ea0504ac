import type { CompiledGraph, HeldInputs, OnnxRuntime } from "../../../onnx/runtime.ts";
import type { ExpertItem, JobBoard } from "./board.ts";
import { type ExpertForm, slotTensors } from "./forms.ts";

/** A slot that this thread knows. */
interface KnownSlot {
  readonly memory: Uint8Array;
  /** As the graph of a form takes it. */
  inputs: { readonly form: number; readonly held: HeldInputs } | undefined;
}

interface ReadyForm {
  readonly form: ExpertForm;
  readonly compiled: CompiledGraph;
}

/** Computes experts in one thread. */
export class ExpertRunner {
  readonly #runtime: OnnxRuntime;
  readonly #forms: ReadyForm[] = [];
  readonly #slots = new Map<number, KnownSlot>();

  constructor(runtime: OnnxRuntime) {
    this.#runtime = runtime;
  }

  /** Makes the graph of form `number` ready. Throws as `OnnxRuntime.open`. */
  async addForm(number: number, form: ExpertForm): Promise<void> {
    // What depends on nothing but what the graph holds are shapes: it holds no weights.
    this.#forms[number] = { form, compiled: await this.#runtime.open(form.model, { folds: true }) };
  }

  /** A slot's memory, from now on. */
  hold(slot: number, memory: Uint8Array): void {
    this.#slots.set(slot, { memory, inputs: undefined });
  }

  drop(slots: readonly number[]): void {
    for (const slot of slots) this.#slots.delete(slot);
  }

  /** Computes an item, and leaves what it came to on the board. Throws as `CompiledGraph.run`. */
  async compute(board: JobBoard, item: ExpertItem): Promise<void> {
    const { hidden } = board;
    const { form, compiled } = this.#forms[item.form]!;
    const rows = rowsOf(board, item);
    const x = { type: "float32", data: rows, dims: [item.pairs.length, hidden] } as const;
    const outputs = await compiled.run(new Map([[form.x, x]]), this.#inputs(item));
    const y = outputs.get(form.y)!.data as Float32Array;
    for (const [index, pair] of item.pairs.entries()) {
      board.y.set(y.subarray(index * hidden, (index + 1) * hidden), pair * hidden);
    }
  }

  async dispose(): Promise<void> {
    for (const { compiled } of this.#forms) await compiled.dispose();
    this.#slots.clear();
  }

  #inputs(item: ExpertItem): HeldInputs {
    const slot = this.#slots.get(item.slot);
    if (!slot) throw new Error(`unreachable: nothing is known of slot ${item.slot}`);
    if (slot.inputs?.form !== item.form) {
      const { form, compiled } = this.#forms[item.form]!;
      const held = compiled.hold(slotTensors(form, slot.memory));
      slot.inputs = { form: item.form, held };
    }
    return slot.inputs.held;
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
