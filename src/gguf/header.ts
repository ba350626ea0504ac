import { SluiceError } from "../errors.ts";
import type { ByteSource, ReadOptions } from "../storage/byte-source.ts";

const FIRST_WINDOW_BYTES = 256 << 10;
/** `@huggingface/gguf` cannot hold a longer header. A vocabulary of 256,000 tokens takes about 10 MB. */
const MAX_HEADER_BYTES = 48_000_000;
const MAX_ARRAY_DEPTH = 4;
const MAX_DIMENSIONS = 8;
const STRING_TYPE = 8;
const ARRAY_TYPE = 9;
const BIG_ENDIAN = "it is a big-endian GGUF file, and only little-endian ones can be read";
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
/** Bytes of each value type of GGUF; undefined for strings and arrays. */
const VALUE_BYTES = [1, 1, 2, 2, 4, 4, 4, 1, undefined, undefined, 8, 8, 8] as const;

/** Where the last string of a key's value lies in {@link Header.bytes}. */
export interface StringSpan {
  readonly offset: number;
  readonly bytes: number;
}

/** A file up to the end of its tensor table, and what the walk over it met. */
export interface Header {
  /** The header with its arrays of strings emptied. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Bytes that it takes in the file. */
  readonly fileBytes: number;
  /** Every key, in the order of the file; the span is for values outside {@link strings}. */
  readonly lastStrings: ReadonlyMap<string, StringSpan>;
  /** The arrays of strings, by key. */
  readonly strings: ReadonlyMap<string, readonly string[]>;
}

/**
 * Reads a GGUF header, and no more of the file, by walking over its lengths.
 *
 * The walk is here because `@huggingface/gguf` trusts lengths: it reads zeros past the end of a short
 * file, cuts a string at the end of the window that it has fetched, and allocates what a count says.
 * Only bytes that hold together are given to it. Arrays of strings are taken out on the way: it
 * begins them anew with every window of 2 MB, which for a large vocabulary takes seconds.
 *
 * Throws "bad-file" if it is no GGUF of version 2 or 3 or a count is absurd, "truncated-file" if it ends early.
 */
export async function readHeader(source: ByteSource, options: ReadOptions): Promise<Header> {
  const walk = new HeaderWalk(source, options);
  await walk.start();
  const tensors = await walk.count("tensors", 24);
  const keys = await walk.count("keys", 13);
  const lastStrings = new Map<string, StringSpan>();
  for (let index = 0; index < keys; index += 1) {
    const key = await walk.string(`key ${index}`);
    if (lastStrings.has(key)) throw walk.bad(`key ${key} appears twice`);
    const span = await walk.value(await walk.u32(key), key, 0);
    lastStrings.set(key, span ?? { offset: 0, bytes: 0 });
  }
  for (let index = 0; index < tensors; index += 1) {
    const name = await walk.string(`the name of tensor ${index}`);
    const dimensions = await walk.u32(name);
    if (dimensions > MAX_DIMENSIONS) throw walk.bad(`tensor ${name} has ${dimensions} dimensions`);
    await walk.skip(8 * dimensions + 4 + 8, `tensor ${name}`);
  }
  return { ...walk.passed(), lastStrings, strings: walk.strings };
}

/** A position in a header, over a window of the file that grows as it is passed. */
class HeaderWalk {
  readonly #source: ByteSource;
  readonly #options: ReadOptions;
  #window = new Uint8Array(0);
  #view = new DataView(this.#window.buffer);
  #offset = 0;
  readonly strings = new Map<string, readonly string[]>();
  /** What is left out of the header that the parser gets: [start, end) in the file. */
  readonly #cuts: [number, number][] = [];
  #cutBytes = 0;

  constructor(source: ByteSource, options: ReadOptions) {
    this.#source = source;
    this.#options = options;
  }

  /** The bytes up to the position, without the arrays of strings. */
  passed(): Pick<Header, "bytes" | "fileBytes"> {
    const bytes = new Uint8Array(this.#offset - this.#cutBytes);
    let from = 0;
    let at = 0;
    for (const [start, end] of [...this.#cuts, [this.#offset, this.#offset] as const]) {
      bytes.set(this.#window.subarray(from, start), at);
      at += start - from;
      from = end;
    }
    return { bytes, fileBytes: this.#offset };
  }

  bad(what: string): SluiceError {
    return new SluiceError(
      "bad-file",
      `${this.#source.name}: ${what}. The file is damaged or not made for this; get it again or use another.`,
    );
  }

  async start(): Promise<void> {
    await this.#need(Math.min(4, this.#source.bytes), "the magic number");
    const magic = new TextDecoder("latin1").decode(this.#window.subarray(0, 4));
    if (magic === "FUGG") throw this.bad(BIG_ENDIAN);
    if (!"GGUF".startsWith(magic)) {
      throw this.bad(`it is not a GGUF file: it starts with ${JSON.stringify(magic)}`);
    }
    await this.skip(4, "the magic number");
    const version = await this.u32("the version");
    if ((version & 0xffff) === 0) {
      throw this.bad(BIG_ENDIAN);
    }
    if (version !== 2 && version !== 3) {
      throw this.bad(`it is GGUF version ${version}, and versions 2 and 3 can be read`);
    }
  }

  /** A count of things that take at least `leastBytes` each, so that a file bounds it. */
  async count(what: string, leastBytes: number): Promise<number> {
    const count = await this.#u64(`the count of ${what}`);
    if (count * leastBytes > MAX_HEADER_BYTES) throw this.bad(`it claims to have ${count} ${what}`);
    this.#expect(this.#offset + count * leastBytes, `${count} ${what}`);
    return count;
  }

  async u32(what: string): Promise<number> {
    await this.skip(4, what);
    return this.#view.getUint32(this.#offset - 4, true);
  }

  async string(what: string): Promise<string> {
    return this.#decode(await this.#skipString(what));
  }

  /** Passes a value and tells where its last string is. */
  async value(type: number, key: string, depth: number): Promise<StringSpan | undefined> {
    if (type === STRING_TYPE) return this.#compact(await this.#skipString(`key ${key}`));
    if (type === ARRAY_TYPE) return this.#array(key, depth + 1);
    const bytes = VALUE_BYTES[type];
    if (bytes === undefined) throw this.bad(`key ${key} has the unknown type ${type}`);
    await this.skip(bytes, `key ${key}`);
    return undefined;
  }

  /** Passes `bytes` and makes sure that the window holds them. */
  async skip(bytes: number, what: string): Promise<void> {
    const end = this.#offset + bytes;
    if (end > this.#window.length) await this.#need(end, what);
    this.#offset = end;
  }

  async #array(key: string, depth: number): Promise<StringSpan | undefined> {
    if (depth > MAX_ARRAY_DEPTH) throw this.bad(`key ${key} nests arrays too deeply`);
    const type = await this.u32(key);
    const count = await this.#u64(`the length of key ${key}`);
    const fixed = VALUE_BYTES[type];
    if (fixed !== undefined) {
      await this.skip(count * fixed, `${count} values of key ${key}`);
      return undefined;
    }
    this.#expect(this.#offset + 8 * count, `${count} values of key ${key}`);
    if (type === STRING_TYPE && depth === 1) {
      await this.#takeStrings(key, count);
      return undefined;
    }
    let last: StringSpan | undefined;
    for (let index = 0; index < count; index += 1) last = await this.value(type, key, depth);
    return last;
  }

  /** Decodes an array of strings and leaves the parser an empty one. */
  async #takeStrings(key: string, count: number): Promise<void> {
    const start = this.#offset;
    const strings: string[] = [];
    for (let index = 0; index < count; index += 1) {
      // Vocabularies have too many strings to await each.
      strings.push(this.#decode(this.#heldString() ?? (await this.#skipString(`key ${key}`))));
    }
    this.strings.set(key, strings);
    this.#view.setBigUint64(start - 8, 0n, true);
    this.#cuts.push([start, this.#offset]);
    this.#cutBytes += this.#offset - start;
  }

  /** Passes a string that the window holds. */
  #heldString(): StringSpan | undefined {
    const offset = this.#offset + 8;
    if (offset > this.#window.length) return undefined;
    const bytes = Number(this.#view.getBigUint64(this.#offset, true));
    if (offset + bytes > this.#window.length) return undefined;
    this.#offset = offset + bytes;
    return { offset, bytes };
  }

  #decode({ offset, bytes }: StringSpan): string {
    return decoder.decode(this.#window.subarray(offset, offset + bytes));
  }

  /** The span's place in what the parser gets. */
  #compact({ offset, bytes }: StringSpan): StringSpan {
    return { offset: offset - this.#cutBytes, bytes };
  }

  async #skipString(what: string): Promise<StringSpan> {
    const bytes = await this.#u64(`the length of ${what}`);
    await this.skip(bytes, what);
    return { offset: this.#offset - bytes, bytes };
  }

  async #u64(what: string): Promise<number> {
    await this.skip(8, what);
    const value = this.#view.getBigUint64(this.#offset - 8, true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.bad(`${what} is ${value}`);
    return Number(value);
  }

  /** Throws unless the file and the limit on headers leave room up to `end`. */
  #expect(end: number, what: string): void {
    if (end > this.#source.bytes) {
      throw new SluiceError(
        "truncated-file",
        `${this.#source.name}: ends inside its header: ${what} reaches byte ${end}, and the file has ` +
          `${this.#source.bytes}. Download or copy it again.`,
      );
    }
    if (end > MAX_HEADER_BYTES) throw this.bad(`its header reaches past ${MAX_HEADER_BYTES} bytes`);
  }

  async #need(end: number, what: string): Promise<void> {
    this.#expect(end, what);
    const wanted = Math.max(end, FIRST_WINDOW_BYTES, 2 * this.#window.length);
    const bytes = Math.min(wanted, this.#source.bytes, MAX_HEADER_BYTES);
    const grown = new Uint8Array(bytes);
    grown.set(this.#window);
    const held = this.#window.length;
    grown.set(await this.#source.read(held, bytes - held, this.#options), held);
    this.#window = grown;
    this.#view = new DataView(grown.buffer);
  }
}
