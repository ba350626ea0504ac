import { SluiceError } from "../errors.ts";
import type { TensorInfo } from "./tensors.ts";

/** `blk.3.ffn_gate_up_exps.weight`: the up projection of each expert behind its gate projection. */
const FUSED = /^(.*\.ffn_)gate_up(_exps\.(?:weight|bias))$/;

/** `blk.3.ffn_gate.5.weight`: a tensor for each expert, as conversions of the first Mixtral have them. */
const SINGLE = /^(.*\.ffn_(?:gate|up|down))\.(\d{1,4})(\.(?:weight|bias))$/;

/**
 * A file's tensors under the names that models read: stacks of experts `blk.N.ffn_{gate,up,down}_exps`, also where the
 * file has gate and up in one tensor `blk.N.ffn_gate_up_exps` `[experts, 2 ffn, hidden]`, or a tensor for each expert
 * `blk.N.ffn_gate.E`. Nothing moves: what does not lie in one piece has {@link TensorInfo.slices}.
 *
 * Throws "bad-file" for stacks that are incomplete or uneven. Source: `create_tensor_gate_up_exps` of llama.cpp.
 */
export function stackExperts(
  tensors: ReadonlyMap<string, TensorInfo>,
  fileName: string,
): ReadonlyMap<string, TensorInfo> {
  const stacked = new Map<string, TensorInfo>();
  const singles = new Map<string, (TensorInfo | undefined)[]>();
  const add = (info: TensorInfo) => {
    if (stacked.has(info.name)) throw bad(fileName, `has ${info.name} in two forms`);
    stacked.set(info.name, info);
  };
  for (const [name, info] of tensors) {
    const [, start, end] = FUSED.exec(name) ?? [];
    const [, projection, digits, suffix] = SINGLE.exec(name) ?? [];
    if (start !== undefined) {
      const [gate, up] = halves(info, fileName);
      add({ ...gate, name: `${start}gate${end}` });
      add({ ...up, name: `${start}up${end}` });
    } else if (digits !== undefined) {
      const key = `${projection}_exps${suffix}`;
      const experts = singles.get(key) ?? [];
      experts[Number(digits)] = info;
      singles.set(key, experts);
    } else {
      add(info);
    }
  }
  for (const [name, experts] of singles) {
    // Experts that were never met are holes in the array; the copy has undefined there.
    add({ ...stackOf(Array.from(experts), name, fileName), name });
  }
  return stacked;
}

/** Where one expert's matrix lies in a stack `[experts, ...]`. */
export function expertSlice(
  { shape, bytes, byteOffset, slices }: TensorInfo,
  expert: number,
): { readonly byteOffset: number; readonly bytes: number } {
  const sliceBytes = bytes / shape[0]!;
  return { byteOffset: slices?.[expert] ?? byteOffset + expert * sliceBytes, bytes: sliceBytes };
}

/** The pieces of a tensor in the file, in its own order. */
export function piecesOf(
  info: TensorInfo,
): readonly { readonly byteOffset: number; readonly bytes: number }[] {
  if (!info.slices) return [info];
  return info.slices.map((_, expert) => expertSlice(info, expert));
}

function halves(info: TensorInfo, fileName: string): readonly [TensorInfo, TensorInfo] {
  const [experts = 0, rows = 0, ...rest] = info.shape;
  if (rows % 2 !== 0) throw bad(fileName, `has an odd number of rows in ${info.name}`);
  const sliceBytes = info.bytes / experts / 2;
  const half = (index: number): TensorInfo => {
    const slices = Array.from(
      { length: experts },
      (_, expert) => info.byteOffset + (2 * expert + index) * sliceBytes,
    );
    return {
      ...info,
      shape: [experts, rows / 2, ...rest],
      bytes: info.bytes / 2,
      byteOffset: slices[0] ?? info.byteOffset,
      slices,
    };
  };
  return [half(0), half(1)];
}

function stackOf(
  experts: readonly (TensorInfo | undefined)[],
  name: string,
  fileName: string,
): TensorInfo {
  const first = experts[0];
  const missing = experts.indexOf(undefined);
  if (!first || missing >= 0) {
    throw bad(fileName, `has no tensor for expert ${first ? missing : 0} of ${name}`);
  }
  const infos = experts as readonly TensorInfo[];
  const odd = infos.find((info) => {
    return info.ggmlType !== first.ggmlType || `${info.shape}` !== `${first.shape}`;
  });
  if (odd) {
    throw bad(fileName, `has ${first.name} and ${odd.name} in different shapes or formats`);
  }
  return {
    ...first,
    shape: [infos.length, ...first.shape],
    bytes: first.bytes * infos.length,
    slices: infos.map(({ byteOffset }) => byteOffset),
  };
}

function bad(fileName: string, what: string): SluiceError {
  return new SluiceError(
    "bad-file",
    `${fileName}: ${what}. Use another file of this model, or convert it again.`,
  );
}
