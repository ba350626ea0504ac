import type { WeightFormat } from "../../../src/formats/format.ts";
import { normalArray, type Random } from "../../../src/numeric/random.ts";
import { randomMatrix } from "./cases.ts";

/** What a page table holds for an expert that is in no slot. */
export const ABSENT = 0xffff_ffff;

/** Bytes before each matrix of a slot, which no kernel reads: planes start at multiples of 16. */
const GAP_BYTES = 16;

/** The slots of one arena: bytes as on the GPU, and each slot's matrices as numbers. */
export interface Arena {
  readonly first: number;
  readonly slots: number;
  readonly slotWords: number;
  /** The word of a slot at which each of its matrices starts. */
  readonly firstWords: readonly number[];
  readonly packed: Uint8Array<ArrayBuffer>;
  /** [slots][matrices][rows * cols] */
  readonly weights: readonly (readonly Float32Array[])[];
  /** The word of a slot at which each of its biases starts. */
  readonly biasWords: readonly number[];
  /** [slots][biases][rows] */
  readonly biases: readonly (readonly Float32Array[])[];
}

/** An arena with `matrices` random matrices of one shape and as many `biases` as asked in each of its slots. */
export function randomArena(
  random: Random,
  format: WeightFormat,
  arena: { readonly first: number; readonly slots: number },
  shape: {
    readonly matrices: number;
    readonly rows: number;
    readonly cols: number;
    readonly biases?: number;
  },
): Arena {
  const slots = Array.from({ length: arena.slots }, () =>
    Array.from({ length: shape.matrices }, () =>
      randomMatrix(random, format, shape.rows, shape.cols),
    ),
  );
  const stride = GAP_BYTES + slots[0]![0]!.packed.length;
  const biases = slots.map(() =>
    Array.from({ length: shape.biases ?? 0 }, () => normalArray(random, shape.rows)),
  );
  const biasBytes = Math.ceil((4 * shape.rows) / GAP_BYTES) * GAP_BYTES;
  const biasOffset = (index: number) => shape.matrices * stride + GAP_BYTES + index * biasBytes;
  const slotBytes = biasOffset(shape.biases ?? 0);
  const packed = new Uint8Array(arena.slots * slotBytes).fill(0xa5);
  for (const [slot, matrices] of slots.entries()) {
    for (const [index, matrix] of matrices.entries()) {
      packed.set(matrix.packed, slot * slotBytes + index * stride + GAP_BYTES);
    }
    for (const [index, bias] of biases[slot]!.entries()) {
      packed.set(new Uint8Array(bias.buffer), slot * slotBytes + biasOffset(index));
    }
  }
  return {
    ...arena,
    slotWords: slotBytes / 4,
    firstWords: Array.from(
      { length: shape.matrices },
      (_, index) => (index * stride + GAP_BYTES) / 4,
    ),
    packed,
    weights: slots.map((matrices) => matrices.map(({ weights }) => weights)),
    biasWords: Array.from({ length: shape.biases ?? 0 }, (_, index) => biasOffset(index) / 4),
    biases,
  };
}

/** The matrices and biases of `slot` if it lies in one of `arenas`. */
export function slotContent(
  arenas: readonly Arena[],
  slot: number,
):
  | { readonly weights: readonly Float32Array[]; readonly biases: readonly Float32Array[] }
  | undefined {
  const arena = arenas.find(({ first, slots }) => slot >= first && slot < first + slots);
  return (
    arena && {
      weights: arena.weights[slot - arena.first]!,
      biases: arena.biases[slot - arena.first]!,
    }
  );
}
