import { SluiceError } from "../errors.ts";
import type { ByteSource, ReadOptions } from "../storage/byte-source.ts";

const FIRST_WINDOW_BYTES = 1 << 20;
/** `@huggingface/gguf` cannot hold a longer header. A vocabulary of 256,000 tokens takes about 10 MB. */
const MAX_HEADER_BYTES = 48_000_000;
const MAX_ARRAY_DEPTH = 4;
const MAX_DIMENSIONS = 8;
const STRING_TYPE = 8;
const ARRAY_TYPE = 9;
/** Bytes of each value type of GGUF; undefined for strings and arrays. */
const VALUE_BYTES = [1, 1, 2, 2, 4, 4, 4, 1, undefined, undefined, 8, 8, 8] as const;

/** Where the last string of a key's value lies in the file; the only one when the value is a string. */
export interface StringSpan {
  readonly offset: number;
  readonly bytes: number;
}

/** The bytes of a file up to the end of its tensor table, and what the walk over them met. */
export interface Header {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly lastStrings: ReadonlyMap<string, StringSpan>;
}

/**
 * Reads a GGUF header, and no more of the file, by walking over its lengths.
 *
 * The walk is here because `@huggingface/gguf` trusts lengths: it reads zeros past the end of a short
 * file, cuts a string at the end of the window that it has fetched, and allocates what a count says.
 * Only bytes that hold together are given to it.
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
  return { bytes: walk.passed, lastStrings };
}

/** A position in a header, over a window of the file that grows as it is passed. */
class HeaderWalk {
  readonly #source: ByteSource;
  readonly #options: ReadOptions;
  #window = new Uint8Array(0);
  #view = new DataView(this.#window.buffer);
  #offset = 0;

  constructor(source: ByteSource, options: ReadOptions) {
    this.#source = source;
    this.#options = options;
  }

  /** The bytes up to the position. */
  get passed(): Uint8Array<ArrayBuffer> {
    return this.#window.subarray(0, this.#offset);
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
    if (!"GGUF".startsWith(magic)) {
      throw this.bad(`it is not a GGUF file: it starts with ${JSON.stringify(magic)}`);
    }
    await this.skip(4, "the magic number");
    const version = await this.u32("the version");
    if ((version & 0xffff) === 0) {
      throw this.bad("it is a big-endian GGUF file, and only little-endian ones can be read");
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
    const { offset, bytes } = await this.#skipString(what);
    return new TextDecoder().decode(this.#window.subarray(offset, offset + bytes));
  }

  /** Passes a value and tells where its last string is. */
  async value(type: number, key: string, depth: number): Promise<StringSpan | undefined> {
    if (type === STRING_TYPE) return this.#skipString(`key ${key}`);
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
    let last: StringSpan | undefined;
    for (let index = 0; index < count; index += 1) last = await this.value(type, key, depth);
    return last;
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
