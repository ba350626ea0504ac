import { SluiceError } from "../errors.ts";
import type { ByteSource } from "../storage/byte-source.ts";
import type { Metadata } from "./metadata.ts";
import type { TensorInfo } from "./tensors.ts";

/** One file of a source, and where it starts in it. */
export interface SourceFile {
  readonly file: ByteSource;
  readonly start: number;
}

/** The files of a source, in order; all of it where it is one file. */
export function filesOf(source: ByteSource): readonly SourceFile[] {
  let end = 0;
  return (source.parts ?? [source]).map(({ name, bytes }) => {
    const start = end;
    end += bytes;
    const read: ByteSource["read"] = (offset, length, options) =>
      source.read(start + offset, length, options);
    return { start, file: { name, bytes, read } };
  });
}

/** The header of one file of a model. */
export interface PartHeader {
  /** Of the file. */
  readonly name: string;
  readonly metadata: Metadata;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}

/** Keys that name the model: where a later part has them at all, they are those of the first. */
const MODEL_KEYS = ["general.architecture", "general.name", "general.basename"] as const;

/**
 * The tensors of all `parts`, the files of one model in order.
 *
 * Throws "not-found" for a single file that is a part, "bad-file" for parts that do not belong together.
 * Source: the keys `split.*` as llama.cpp's `gguf-split` writes them.
 */
export function joinParts(parts: readonly PartHeader[]): ReadonlyMap<string, TensorInfo> {
  const [first] = parts;
  if (!first) throw new Error("unreachable: a model has a file");
  if (parts.length === 1) {
    refusePart(first);
    return first.tensors;
  }
  for (const [index, part] of parts.entries()) expectPart(part, index, parts);
  const tensors = new Map<string, TensorInfo>();
  for (const part of parts) {
    for (const [name, info] of part.tensors) {
      if (tensors.has(name)) throw stranger(part, `its tensor ${name} is in an earlier part too`);
      tensors.set(name, info);
    }
  }
  for (const part of parts) {
    const wanted = part.metadata.optionalCount("split.tensors.count");
    if (wanted === undefined || wanted === tensors.size) continue;
    throw stranger(part, `it says that all have ${wanted} tensors, and they have ${tensors.size}`);
  }
  return tensors;
}

/** A part that came alone: its name did not tell that it is one, or it was given as bytes. */
function refusePart({ name, metadata }: PartHeader): void {
  const count = metadata.optionalCount("split.count") ?? 1;
  if (count <= 1) return;
  const number = (metadata.optionalCount("split.no") ?? 0) + 1;
  throw new SluiceError(
    "not-found",
    `${name}: is part ${number} of a model split into ${count} parts, and its name does not tell those of the others. ` +
      `Name them MODEL-00001-of-${String(count).padStart(5, "0")}.gguf and so on, and give the address of one or all files.`,
  );
}

function expectPart(part: PartHeader, index: number, parts: readonly PartHeader[]): void {
  const { metadata } = part;
  const count = metadata.optionalCount("split.count");
  const number = metadata.optionalCount("split.no");
  if (count === undefined || number === undefined) {
    throw stranger(part, "it does not say that it is a part (split.count, split.no)");
  }
  if (count !== parts.length || number !== index) {
    throw stranger(
      part,
      `it says that it is part ${number + 1} of ${count}, and its name says part ${index + 1} of ${parts.length}`,
    );
  }
  for (const key of MODEL_KEYS) {
    const own = metadata.optionalString(key);
    const model = parts[0]!.metadata.optionalString(key);
    if (own !== undefined && own !== model) {
      throw stranger(part, `its ${key} is ${JSON.stringify(own)}, not ${JSON.stringify(model)}`);
    }
  }
}

function stranger({ name }: PartHeader, why: string): SluiceError {
  return new SluiceError(
    "bad-file",
    `${name}: does not fit the other parts of the model: ${why}. Get all parts again from one place.`,
  );
}
