import { planPlanes, repackMatrix } from "../../../src/formats/format.ts";
import { q4_0 } from "../../../src/formats/q4_0.ts";
import { f16ToF32, f32ToF16 } from "../../../src/numeric/f16.ts";
import { createRandom, normalArray, type Random } from "../../../src/numeric/random.ts";

/** A MoE layer to be measured. */
export interface MoeShape {
  readonly hidden: number;
  readonly experts: number;
  readonly topK: number;
  /** Width of an expert. */
  readonly ffn: number;
  /** Tokens that inputs are there for. */
  readonly maxTokens: number;
}

/** Weights that share a scale, in Q4_0 and in ONNX Runtime's blocks alike. */
export const BLOCK = 32;

/** What stands for 0 among the quants. */
const MIDDLE = 8;

/** A matrix of 4-bit quants, `(quant - 8) * scale`, one scale for each block of a row. */
export interface QuantMatrix {
  readonly rows: number;
  readonly cols: number;
  /** `[rows, cols]`, 0 to 15. */
  readonly quants: Uint8Array;
  /** `[rows, cols / BLOCK]`, each a number that f16 has. */
  readonly scales: Float32Array;
}

/** One expert's matrices: gate and up `[ffn, hidden]`, down `[hidden, ffn]`. */
export interface QuantExpert {
  readonly gate: QuantMatrix;
  readonly up: QuantMatrix;
  readonly down: QuantMatrix;
}

/** A whole layer and inputs for it. */
export interface MoeWeights {
  readonly shape: MoeShape;
  /** `[maxTokens, hidden]` */
  readonly x: Float32Array<ArrayBuffer>;
  /** `[experts, hidden]` */
  readonly router: Float32Array<ArrayBuffer>;
  readonly experts: readonly QuantExpert[];
}

/** Random weights, scaled so that outputs spread by about 1; the same for the same seed. */
export function randomMoe(shape: MoeShape, seed: number): MoeWeights {
  const { hidden, experts, ffn, maxTokens } = shape;
  const random = createRandom(seed);
  return {
    shape,
    x: normalArray(random, maxTokens * hidden),
    router: normalArray(random, experts * hidden, 2 / Math.sqrt(hidden)),
    experts: Array.from({ length: experts }, () => ({
      gate: randomMatrix(random, ffn, hidden),
      up: randomMatrix(random, ffn, hidden),
      down: randomMatrix(random, hidden, ffn),
    })),
  };
}

function randomMatrix(random: Random, rows: number, cols: number): QuantMatrix {
  const quants = new Uint8Array(rows * cols).map(() => random.integer(16));
  // Quants have a deviation of 4.6.
  const scale = 1.5 / (4.6 * Math.sqrt(cols));
  const scales = new Float32Array((rows * cols) / BLOCK).map(() =>
    f16ToF32(f32ToF16(scale * (0.75 + 0.5 * random.uniform()))),
  );
  return { rows, cols, quants, scales };
}

/** The matrix as Sluice has it on the GPU: Q4_0 in planes. */
export function asQ4Planes({ quants, scales }: QuantMatrix): Uint8Array<ArrayBuffer> {
  const blocks = new Uint8Array(scales.length * q4_0.blockBytes);
  const view = new DataView(blocks.buffer);
  for (const [block, scale] of scales.entries()) {
    const at = block * q4_0.blockBytes;
    view.setUint16(at, f32ToF16(scale), true);
    for (let i = 0; i < BLOCK / 2; i++) {
      const low = quants[block * BLOCK + i]!;
      const high = quants[block * BLOCK + i + BLOCK / 2]!;
      blocks[at + 2 + i] = low | (high << 4);
    }
  }
  return repackMatrix(q4_0, blocks);
}

/** Bytes of a matrix of so many weights on the GPU. */
export function planeBytes(weights: number): number {
  return planPlanes(q4_0, weights).bytes;
}

/** The layer in f64, straightforwardly: `[tokens, hidden]`. Softmax over the chosen, SiLU. */
export function moeReference({ shape, x, router, experts }: MoeWeights, tokens: number): number[] {
  const { hidden, topK } = shape;
  const y: number[] = [];
  for (let token = 0; token < tokens; token++) {
    const row = x.subarray(token * hidden, (token + 1) * hidden);
    const logits = experts.map((_, expert) =>
      row.reduce((sum, value, col) => sum + value * router[expert * hidden + col]!, 0),
    );
    const chosen = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]!).slice(0, topK);
    const powers = chosen.map((expert) => Math.exp(logits[expert]! - logits[chosen[0]!]!));
    const total = powers.reduce((a, b) => a + b);
    const sums = new Array<number>(hidden).fill(0);
    for (const [choice, expert] of chosen.entries()) {
      const { gate, up, down } = experts[expert]!;
      const [gated, raised] = [multiply(gate, row), multiply(up, row)];
      const inner = gated.map((value, i) => (value / (1 + Math.exp(-value))) * raised[i]!);
      const outer = multiply(down, inner);
      for (let i = 0; i < hidden; i++) sums[i]! += (powers[choice]! / total) * outer[i]!;
    }
    y.push(...sums);
  }
  return y;
}

function multiply({ rows, cols, quants, scales }: QuantMatrix, x: ArrayLike<number>): number[] {
  return Array.from({ length: rows }, (_, row) => {
    let sum = 0;
    for (let col = 0; col < cols; col++) {
      const at = row * cols + col;
      sum += (quants[at]! - MIDDLE) * scales[Math.floor(at / BLOCK)]! * x[col]!;
    }
    return sum;
  });
}
