import { SluiceError } from "../errors.ts";
import { planPlanes, repackMatrix, type WeightFormat } from "../formats/format.ts";
import { weightFormats } from "../formats/registry.ts";
import { expertSlice } from "../gguf/expert-stacks.ts";
import type { GgufFile, TensorInfo } from "../gguf/gguf.ts";
import type { ExpertBiases } from "../ops/gpu-resources.ts";
import type { MoeSpec } from "../ops/ops.ts";
import type { ReadOptions, ReadPriority } from "../storage/byte-source.ts";
import { formatOf, tensorOf } from "./tensor-reader.ts";

/** A part of an expert: where it lies in the file, and where in a record. */
export interface ExpertPart {
  readonly info: TensorInfo;
  readonly format: WeightFormat;
  /** Where it starts in the record, in bytes. */
  readonly byteOffset: number;
}

/** How the experts of a pool are laid out. */
export interface PoolLayout {
  readonly gate: ExpertPart;
  readonly up: ExpertPart;
  readonly down: ExpertPart;
  /** Whether down is stored as `[ffn, hidden]` and read by columns. */
  readonly downByColumns: boolean;
  /** Biases of the products, in f32, behind the matrices; undefined where experts have none. */
  readonly biases: PoolBiases | undefined;
  /** All of the parts that the file has. */
  readonly parts: readonly ExpertPart[];
  /** Bytes of one expert's record: a slot. */
  readonly recordBytes: number;
}

/** Where the biases of a record start, in bytes. One that the file does not have is left zero. */
interface PoolBiases {
  readonly gate: number;
  readonly up: number;
  readonly down: number;
}

/** Reads the layouts of the pools from the tensor table. Throws "unsupported-format" or "bad-file". */
export function planPools(file: GgufFile, moe: readonly MoeSpec[]): PoolLayout[] {
  const pools: PoolLayout[] = [];
  for (const spec of moe) pools[spec.pool] = planPool(file, spec);
  return pools;
}

function planPool(file: GgufFile, spec: MoeSpec): PoolLayout {
  const { ffn, hidden } = spec;
  const parts: ExpertPart[] = [];
  let recordBytes = 0;
  const place = (format: WeightFormat, weights: number): number => {
    const byteOffset = recordBytes;
    recordBytes += planPlanes(format, weights).bytes;
    return byteOffset;
  };
  const part = (name: string, format: WeightFormat, weights: number): ExpertPart => {
    const info = tensorOf(file, name);
    const byteOffset = place(format, weights);
    parts.push({ info, format, byteOffset });
    return parts.at(-1)!;
  };
  const matrix = (name: string) => part(name, formatOf(tensorOf(file, name)), ffn * hidden);
  const bias = (name: string | undefined, width: number): number => {
    if (name === undefined) return place(weightFormats.f32, width);
    checkF32(tensorOf(file, name));
    return part(name, weightFormats.f32, width).byteOffset;
  };

  const [gate, up, down] = [matrix(spec.gate), matrix(spec.up), matrix(spec.down)];
  const { gateBias, upBias, downBias } = spec;
  const biases =
    gateBias || upBias || downBias
      ? { gate: bias(gateBias, ffn), up: bias(upBias, ffn), down: bias(downBias, hidden) }
      : undefined;
  const downByColumns = down.info.shape[1] === ffn && ffn !== hidden;
  if (downByColumns && biases) {
    throw new SluiceError(
      "unsupported-format",
      `${spec.down} is stored by columns and has a bias, which Sluice does not compute. Use another conversion of this model.`,
    );
  }
  return { gate, up, down, downByColumns, biases, parts, recordBytes };
}

/** Throws "unsupported-format" unless a tensor of biases is as shaders read them. */
function checkF32(info: TensorInfo): void {
  if (info.ggmlType === weightFormats.f32.ggmlType) return;
  throw new SluiceError(
    "unsupported-format",
    `${info.name} is of tensor type ${info.ggmlType}: biases of experts must be F32 (0). Use another conversion of this model.`,
  );
}

/** Where a record's biases start, as kernels are told. */
export function biasesOf({ biases }: PoolLayout): ExpertBiases | undefined {
  return (
    biases && {
      gateFirst: biases.gate / 4,
      upFirst: biases.up / 4,
      downFirst: biases.down / 4,
    }
  );
}

/** Reads one expert's parts from the file and lays them out as a record. Throws what the source throws. */
export async function readRecord(
  file: GgufFile,
  { parts, recordBytes }: PoolLayout,
  expert: number,
  options: ReadOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  const record = new Uint8Array(recordBytes);
  await Promise.all(
    parts.map(async ({ info, format, byteOffset }) => {
      const slice = expertSlice(info, expert);
      const blocks = await file.source.read(slice.byteOffset, slice.bytes, options);
      record.set(repackMatrix(format, blocks), byteOffset);
    }),
  );
  return record;
}

/** Tells the source that what {@link readRecord} reads has become more urgent. */
export function raiseRecord(
  { source }: GgufFile,
  { parts }: PoolLayout,
  expert: number,
  priority: ReadPriority,
): void {
  for (const { info } of parts) {
    const { byteOffset, bytes } = expertSlice(info, expert);
    source.raise?.(byteOffset, bytes, priority);
  }
}
