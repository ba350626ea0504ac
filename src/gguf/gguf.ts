import { gguf } from "@huggingface/gguf";
import { SluiceError } from "../errors.ts";
import type { ByteSource, ReadOptions } from "../storage/byte-source.ts";
import { stackExperts } from "./expert-stacks.ts";
import { type Header, readHeader, type StringSpan } from "./header.ts";
import { Metadata, type MetadataValue } from "./metadata.ts";
import { filesOf, joinParts, type PartHeader, type SourceFile } from "./split.ts";
import { type TensorInfo, tensorTable } from "./tensors.ts";

export type { TensorInfo } from "./tensors.ts";

/** A GGUF file, or all files of a split model, whose headers have been read; `source` stays the caller's. */
export interface GgufFile {
  readonly source: ByteSource;
  /** Of the first file. */
  readonly metadata: Metadata;
  /** Of all files; stacks of experts under one name whatever the file's layout: see `stackExperts`. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}

/** A file fetched by `@huggingface/gguf` arrives in windows of this many bytes. */
const WINDOW_BYTES = 2_000_000;

/**
 * Reads the header of a GGUF file, or of each file of a split model: keys and tensor tables, and no weights.
 *
 * Throws "bad-file" if a file is damaged, no GGUF or no part of this model, "truncated-file" if it is shorter than its
 * tensor table says, "not-found" if it is a part and the others are not in `source`, and what `source` throws.
 */
export async function openGguf(source: ByteSource, options: ReadOptions = {}): Promise<GgufFile> {
  const parts = await Promise.all(filesOf(source).map((file) => readPart(file, options)));
  const tensors = stackExperts(joinParts(parts), source.name);
  return { source, metadata: parts[0]!.metadata, tensors };
}

async function readPart({ file, start }: SourceFile, options: ReadOptions): Promise<PartHeader> {
  const { name, bytes } = file;
  const header = await readHeader(file, options);
  const parsed = await parse(header, name);
  const metadata = new Metadata(metadataValues(parsed.metadata, header), name);
  const tensors = tensorTable(parsed.tensorInfos, {
    name,
    bytes,
    start,
    dataOffset: header.fileBytes,
    alignment: metadata.optionalCount("general.alignment") ?? 32,
  });
  return { name, metadata, tensors };
}

/** Gives the header's bytes to the parser as answers to its range requests. */
async function parse(header: Header, name: string): Promise<Awaited<ReturnType<typeof gguf>>> {
  const answer = async (_: unknown, init?: RequestInit): Promise<Response> => {
    const range = new Headers(init?.headers).get("Range") ?? "";
    const [start, end] = /^bytes=(\d+)-(\d+)$/.exec(range)?.slice(1).map(Number) ?? [];
    if (start === undefined || end === undefined) throw new Error(`unreachable: Range ${range}`);
    return new Response(header.bytes.slice(start, end + 1));
  };
  try {
    // The address is never asked: outside a browser the parser wants one that starts with https.
    return await gguf("https://header.invalid/", { fetch: answer });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SluiceError(
      "bad-file",
      `${name}: its header cannot be read: ${reason}. The file is damaged; get it again or use another.`,
      { cause },
    );
  }
}

function metadataValues(parsed: object, header: Header): [string, MetadataValue][] {
  const own = new Map<string, MetadataValue>(Object.entries(parsed));
  const values: [string, MetadataValue][] = [];
  for (const [key, span] of header.lastStrings) {
    const parsedValue = own.get(key);
    const value = header.strings.get(key) ?? parsedValue;
    // A key such as "__proto__" never becomes an own property of the parser's object.
    if (value === undefined) continue;
    const taken = value !== parsedValue;
    values.push([key, taken ? value : repaired(withoutBigints(value), span, header.bytes)]);
  }
  return values;
}

/**
 * `value` with its last string read again if it lies across two of the parser's windows.
 *
 * The parser cuts such a string without a word when the value began long before (0.4.6: `readString`
 * slices past the end of its buffer). Delete this when a version of it throws there instead.
 */
function repaired(value: MetadataValue, span: StringSpan, header: Uint8Array): MetadataValue {
  const { offset, bytes } = span;
  const across = Math.floor(offset / WINDOW_BYTES) !== Math.floor((offset + bytes) / WINDOW_BYTES);
  if (!across) return value;
  const text = new TextDecoder().decode(header.subarray(offset, offset + bytes));
  return typeof value === "object" ? withLastString(value, text) : text;
}

function withLastString(value: readonly MetadataValue[], text: string): readonly MetadataValue[] {
  const last = value.at(-1);
  return [...value.slice(0, -1), typeof last === "object" ? withLastString(last, text) : text];
}

function withoutBigints(value: MetadataValue): MetadataValue {
  if (typeof value === "object") {
    // Scores and token types run to hundreds of thousands: only arrays that need it are copied.
    const first = typeof value[0];
    return first === "bigint" || first === "object" ? value.map(withoutBigints) : value;
  }
  if (typeof value !== "bigint") return value;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
