import { formatOfGgmlType } from "../../src/formats/registry.ts";
import { piecesOf } from "../../src/gguf/expert-stacks.ts";
import { type GgufFile, openGguf } from "../../src/gguf/gguf.ts";
import type { ModelFile, ModelRules, ModelSpec } from "../../src/models/model.ts";
import { readModel } from "../../src/models/registry.ts";
import { memorySource } from "../../src/storage/memory-source.ts";
import {
  createReferenceOps,
  type ReferenceOptions,
  type ReferencePass,
  type ReferenceWeight,
} from "./ops.ts";

/** A whole model in f64, with a cache of the tokens so far. */
export interface ReferenceModel {
  readonly spec: ModelSpec;
  /** One pass over tokens that follow those before. */
  run(tokens: readonly number[]): ReferencePass;
  /** See `ReferenceOps.runAhead`; of a model that was opened with `ahead`. */
  runAhead(tokens: readonly number[]): Float64Array;
}

/** The model in the GGUF `bytes`, its weights decoded by our formats. */
export async function openReferenceModel(
  bytes: Uint8Array,
  {
    rules,
    ahead,
    ...options
  }: ReferenceOptions & { readonly rules?: ModelRules; readonly ahead?: boolean } = {},
): Promise<ReferenceModel> {
  const file = await openGguf(memorySource(bytes));
  const spec = readModel(modelFileOf(file), rules, ahead);
  const ops = createReferenceOps(decodedWeights(file, bytes), options);
  return {
    spec,
    run: (tokens) => ops.run(spec, tokens),
    runAhead: (tokens) => ops.runAhead(spec, tokens),
  };
}

/** What an architecture's reader may see of a GGUF. */
export function modelFileOf({ metadata, tensors }: GgufFile): ModelFile {
  return { metadata, shape: (tensor) => tensors.get(tensor)?.shape };
}

/** The tensors of a GGUF, each decoded when first asked for. */
export function decodedWeights(
  { tensors }: GgufFile,
  bytes: Uint8Array,
): (name: string) => ReferenceWeight {
  const decoded = new Map<string, ReferenceWeight>();
  return (name) => {
    const known = decoded.get(name);
    if (known) return known;
    const tensor = tensors.get(name);
    if (!tensor) throw new Error(`the file has no tensor ${name}`);
    const blocks = new Uint8Array(tensor.bytes);
    let at = 0;
    for (const piece of piecesOf(tensor)) {
      blocks.set(bytes.subarray(piece.byteOffset, piece.byteOffset + piece.bytes), at);
      at += piece.bytes;
    }
    const weight = { shape: tensor.shape, data: decodedTensor(tensor.ggmlType, blocks) };
    decoded.set(name, weight);
    return weight;
  };
}

/** GGUF's 32-bit integers: a table of ids. */
const GGML_I32 = 26;

function decodedTensor(ggmlType: number, blocks: Uint8Array<ArrayBuffer>) {
  if (ggmlType === GGML_I32) return Float64Array.from(new Int32Array(blocks.buffer));
  const format = formatOfGgmlType(ggmlType);
  if (!format) throw new Error(`a tensor is of type ${ggmlType}, which no format has`);
  return format.decode(blocks);
}
