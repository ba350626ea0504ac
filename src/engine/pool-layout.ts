import { SluiceError } from "../errors.ts";
import { planPlanes, repackMatrix, type WeightFormat } from "../formats/format.ts";
import { expertSlice } from "../gguf/expert-stacks.ts";
import type { GgufFile, TensorInfo } from "../gguf/gguf.ts";
import type { MoeSpec } from "../ops/ops.ts";
import type { ReadOptions, ReadPriority } from "../storage/byte-source.ts";
import { formatOf, tensorOf } from "./weights.ts";

/** One of the three matrices of an expert: where it lies in the file, and where in a record. */
export interface ExpertMatrix {
  readonly info: TensorInfo;
  readonly format: WeightFormat;
  /** Where it starts in the record, in bytes. */
  readonly byteOffset: number;
}

/** How the experts of a pool are laid out. */
export interface PoolLayout {
  readonly gate: ExpertMatrix;
  readonly up: ExpertMatrix;
  readonly down: ExpertMatrix;
  /** Whether down is stored as `[ffn, hidden]` and read by columns. */
  readonly downByColumns: boolean;
  /** Bytes of one expert's record: a slot. */
  readonly recordBytes: number;
}

/** Reads the layouts of the pools from the tensor table. Throws "unsupported-format" or "bad-file". */
export function planPools(file: GgufFile, moe: readonly MoeSpec[]): PoolLayout[] {
  const pools: PoolLayout[] = [];
  for (const spec of moe) {
    const weights = spec.ffn * spec.hidden;
    let recordBytes = 0;
    const matrix = (name: string): ExpertMatrix => {
      const info = tensorOf(file, name);
      const format = formatOf(info);
      const byteOffset = recordBytes;
      recordBytes += planPlanes(format, weights).bytes;
      return { info, format, byteOffset };
    };
    const [gate, up, down] = [matrix(spec.gate), matrix(spec.up), matrix(spec.down)];
    if (gate.format !== up.format) {
      throw new SluiceError(
        "unsupported-format",
        `${spec.gate} is ${gate.format.name} and ${spec.up} is ${up.format.name}: Sluice needs both in one format. Use another quantisation of this model.`,
      );
    }
    const downByColumns = down.info.shape[1] === spec.ffn && spec.ffn !== spec.hidden;
    pools[spec.pool] = { gate, up, down, downByColumns, recordBytes };
  }
  return pools;
}

/** Reads one expert's matrices from the file and lays them out as a record. Throws what the source throws. */
export async function readRecord(
  file: GgufFile,
  { gate, up, down, recordBytes }: PoolLayout,
  expert: number,
  options: ReadOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  const record = new Uint8Array(recordBytes);
  await Promise.all(
    [gate, up, down].map(async ({ info, format, byteOffset }) => {
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
  { gate, up, down }: PoolLayout,
  expert: number,
  priority: ReadPriority,
): void {
  for (const { info } of [gate, up, down]) {
    const { byteOffset, bytes } = expertSlice(info, expert);
    source.raise?.(byteOffset, bytes, priority);
  }
}
