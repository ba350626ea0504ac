/** A typed value of a GGUF key; arrays carry the type of their elements. */
export type GgufValue =
  | { readonly type: "u32" | "i32" | "f32"; readonly value: number }
  | { readonly type: "u64"; readonly value: number | bigint }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "strings"; readonly value: readonly string[] }
  | { readonly type: "f32s"; readonly value: readonly number[] }
  | { readonly type: "i32s"; readonly value: readonly number[] }
  | { readonly type: "bools"; readonly value: readonly boolean[] };

/** The keys of a file to write, in order. */
export type GgufKeys = Readonly<Record<string, GgufValue>>;

/** A tensor to write. Nothing checks that `data` fits the shape: tests write broken files too. */
export interface GgufTensor {
  readonly name: string;
  readonly ggmlType: number;
  /** Row-major; written innermost first. */
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** Shorthands: `{ "general.name": g.string("tiny") }`. */
export const g = {
  u32: (value: number): GgufValue => ({ type: "u32", value }),
  i32: (value: number): GgufValue => ({ type: "i32", value }),
  f32: (value: number): GgufValue => ({ type: "f32", value }),
  u64: (value: number | bigint): GgufValue => ({ type: "u64", value }),
  bool: (value: boolean): GgufValue => ({ type: "bool", value }),
  string: (value: string): GgufValue => ({ type: "string", value }),
  strings: (value: readonly string[]): GgufValue => ({ type: "strings", value }),
  f32s: (value: readonly number[]): GgufValue => ({ type: "f32s", value }),
  i32s: (value: readonly number[]): GgufValue => ({ type: "i32s", value }),
  bools: (value: readonly boolean[]): GgufValue => ({ type: "bools", value }),
};

const ALIGNMENT = 32;
const TYPE_IDS = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, u64: 10 } as const;
const ELEMENT_TYPES = { strings: "string", f32s: "f32", i32s: "i32", bools: "bool" } as const;

/** The bytes of a GGUF file, version 3, little-endian, tensor data aligned to 32. */
export function writeGguf(file: {
  readonly metadata: GgufKeys;
  readonly tensors?: readonly GgufTensor[];
}): Uint8Array<ArrayBuffer> {
  const tensors = file.tensors ?? [];
  const lines = tensors.map((tensor) => ({ ...tensor, bytes: tensor.data.length }));
  const { out } = writeHeader(file.metadata, lines);
  for (const { data } of tensors) out.align(ALIGNMENT).raw(data);
  return out.align(ALIGNMENT).finish();
}

/** A file up to its data, and how long it is with them. */
export function writeGgufHeader(file: {
  readonly metadata: GgufKeys;
  readonly tensors: readonly TensorLine[];
}): { readonly header: Uint8Array<ArrayBuffer>; readonly fileBytes: number } {
  const { out, dataBytes } = writeHeader(file.metadata, file.tensors);
  const header = out.align(ALIGNMENT).finish();
  return { header, fileBytes: header.length + dataBytes };
}

/** A line of the tensor table. */
export interface TensorLine extends Omit<GgufTensor, "data"> {
  /** Of its data. */
  readonly bytes: number;
}

function writeHeader(metadata: GgufKeys, tensors: readonly TensorLine[]) {
  const keys = Object.entries(metadata);
  const out = new ByteWriter();
  out.ascii("GGUF").u32(3).u64(tensors.length).u64(keys.length);
  for (const [key, value] of keys) {
    out.string(key);
    writeValue(out, value);
  }
  return { out, dataBytes: writeTensorTable(out, tensors) };
}

/** Writes the lines of the table for data that follow one another; gives the bytes of all data. */
export function writeTensorTable(out: ByteWriter, tensors: readonly TensorLine[]): number {
  let offset = 0;
  for (const { name, shape, ggmlType, bytes } of tensors) {
    out.string(name).u32(shape.length);
    for (const length of [...shape].reverse()) out.u64(length);
    out.u32(ggmlType).u64(offset);
    offset += Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
  }
  return offset;
}

function isArrayValue(
  entry: GgufValue,
): entry is Extract<GgufValue, { readonly type: keyof typeof ELEMENT_TYPES }> {
  return entry.type in ELEMENT_TYPES;
}

function writeValue(out: ByteWriter, entry: GgufValue): void {
  if (isArrayValue(entry)) {
    const element = ELEMENT_TYPES[entry.type];
    out.u32(9).u32(TYPE_IDS[element]).u64(entry.value.length);
    for (const item of entry.value) out.scalar(element, item);
  } else {
    out.u32(TYPE_IDS[entry.type]).scalar(entry.type, entry.value);
  }
}

/** Little-endian bytes, appended. */
export class ByteWriter {
  #bytes = new Uint8Array(1024);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  u32(value: number): this {
    const offset = this.#grow(4);
    this.#view.setUint32(offset, value, true);
    return this;
  }

  u64(value: number | bigint): this {
    const offset = this.#grow(8);
    this.#view.setBigUint64(offset, BigInt(value), true);
    return this;
  }

  ascii(text: string): this {
    return this.raw(new TextEncoder().encode(text));
  }

  string(text: string): this {
    const bytes = new TextEncoder().encode(text);
    return this.u64(bytes.length).raw(bytes);
  }

  scalar(type: keyof typeof TYPE_IDS, value: string | number | bigint | boolean): this {
    if (type === "string") return this.string(String(value));
    if (type === "u64") return this.u64(BigInt(value));
    if (type === "bool") return this.raw(Uint8Array.of(value ? 1 : 0));
    if (type !== "f32") return this.u32(Number(value));
    const offset = this.#grow(4);
    this.#view.setFloat32(offset, Number(value), true);
    return this;
  }

  raw(bytes: Uint8Array): this {
    const offset = this.#grow(bytes.length);
    this.#bytes.set(bytes, offset);
    return this;
  }

  align(alignment: number): this {
    this.#grow((alignment - (this.#length % alignment)) % alignment);
    return this;
  }

  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  #grow(bytes: number): number {
    const offset = this.#length;
    this.#length += bytes;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(2 * this.#length);
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return offset;
  }
}
