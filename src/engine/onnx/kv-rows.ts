import { BLOCK_NUMBERS, type CacheFormat } from "../../formats/cache/format.ts";
import type { HostTensor } from "../../onnx/runtime.ts";
import { valueDimOf } from "../../ops/kv-layout.ts";
import type { AttentionSpec } from "../../ops/ops.ts";
import { type CacheSize, cacheRows } from "../kv-cache.ts";

/** Typed arrays for the bits that a cache keeps of a number. */
const NUMBER_ARRAYS = { 32: Float32Array, 16: Uint16Array, 8: Int8Array } as const;
const NUMBER_TYPES = { 32: "float32", 16: "float16", 8: "int8" } as const;
type Bits = keyof typeof NUMBER_ARRAYS;

/** The keys and values of a layer: see `HostRows`. */
export class HostKvCache {
  readonly keys: HostRows;
  /** Undefined where values are a part of the keys. */
  readonly values: HostRows | undefined;
  /** A query sees at most so many keys. */
  readonly window: number;

  constructor(spec: AttentionSpec, format: CacheFormat, size: CacheSize) {
    const rows = cacheRows(spec, size);
    const { kvHeads, headDim } = spec;
    this.keys = new HostRows(format, { rows, heads: kvHeads, dim: headDim });
    this.values = spec.valuesInKeys
      ? undefined
      : new HostRows(format, { rows, heads: kvHeads, dim: valueDimOf(spec) });
    this.window = spec.window ?? Number.POSITIVE_INFINITY;
  }

  /** The positions that the queries of a pass of `tokens` tokens at `position` may see. */
  seen(position: number, tokens: number): { readonly first: number; readonly count: number } {
    const first = Math.max(0, position - this.window + 1);
    return { first, count: position + tokens - first };
  }

  /**
   * What is added to the scores of a pass: 0 for keys that a query sees, otherwise -Infinity.
   * -> `[tokens, keys]`
   */
  mask(position: number, tokens: number): HostTensor {
    const { first, count } = this.seen(position, tokens);
    const data = new Float32Array(tokens * count);
    for (let token = 0; token < tokens; token++) {
      const own = position + token;
      const row = data.subarray(token * count, (token + 1) * count);
      row.fill(Number.NEGATIVE_INFINITY, own + 1 - first);
      row.fill(Number.NEGATIVE_INFINITY, 0, Math.max(0, own - this.window + 1 - first));
    }
    return { type: "float32", data, dims: [tokens, count] };
  }

  get bytes(): number {
    return this.keys.bytes + (this.values?.bytes ?? 0);
  }
}

/**
 * Rows of a cache, packed as its format says, in the host's memory: that of position p is in row p modulo the number of
 * rows. Heads are padded as on the GPU, so that blocks hold the same numbers.
 */
export class HostRows {
  readonly #format: CacheFormat;
  readonly #rows: number;
  readonly #heads: number;
  readonly #dim: number;
  readonly #padded: number;
  readonly #numbers: Float32Array | Uint16Array | Int8Array;
  readonly #scales: Float32Array;

  constructor(
    format: CacheFormat,
    { rows, heads, dim }: { readonly rows: number; readonly heads: number; readonly dim: number },
  ) {
    this.#format = format;
    this.#rows = rows;
    this.#heads = heads;
    this.#dim = dim;
    this.#padded = Math.ceil(dim / format.headNumbers) * format.headNumbers;
    const width = heads * this.#padded;
    this.#numbers = new NUMBER_ARRAYS[format.bitsPerNumber as Bits](rows * width);
    this.#scales = new Float32Array(format.scaled ? (rows * width) / BLOCK_NUMBERS : 0);
  }

  get bytes(): number {
    return this.#numbers.byteLength + this.#scales.byteLength;
  }

  /** Writes the rows of a pass. values `[tokens, heads * dim]` */
  write(position: number, values: Float32Array): void {
    const width = this.#heads * this.#dim;
    const tokens = values.length / width;
    for (let token = 0; token < tokens; token++) {
      const row = (position + token) % this.#rows;
      this.#writeRow(row, values.subarray(token * width, (token + 1) * width));
    }
  }

  /** The numbers of `count` positions from `first` on, and their scales. A view, where they lie together. */
  read(
    first: number,
    count: number,
  ): { readonly numbers: HostTensor; readonly scales: HostTensor } {
    const width = this.#heads * this.#padded;
    const blocks = width / BLOCK_NUMBERS;
    return {
      numbers: {
        type: NUMBER_TYPES[this.#format.bitsPerNumber as Bits],
        data: this.#gather(this.#numbers, width, first, count),
        dims: [count, width],
      },
      scales: {
        type: "float32",
        data: this.#gather(this.#scales, blocks, first, this.#format.scaled ? count : 0),
        dims: [this.#format.scaled ? count : 0, blocks, 1],
      },
    };
  }

  #writeRow(row: number, values: Float32Array): void {
    const width = this.#heads * this.#padded;
    if (this.#numbers instanceof Float32Array && this.#padded === this.#dim) {
      this.#numbers.set(values, row * width);
      return;
    }
    const padded = new Float32Array(width);
    for (let head = 0; head < this.#heads; head++) {
      const own = values.subarray(head * this.#dim, (head + 1) * this.#dim);
      padded.set(own, head * this.#padded);
    }
    const { buffer } = this.#format.encode(padded);
    const { bitsPerNumber, scaled } = this.#format;
    const numbers = new NUMBER_ARRAYS[bitsPerNumber as Bits](buffer, 0, width);
    this.#numbers.set(numbers, row * width);
    if (!scaled) return;
    const blocks = width / BLOCK_NUMBERS;
    const scales = new Float32Array(buffer, (width * bitsPerNumber) / 8, blocks);
    this.#scales.set(scales, row * blocks);
  }

  #gather<Numbers extends Float32Array | Uint16Array | Int8Array>(
    all: Numbers,
    width: number,
    first: number,
    count: number,
  ): Numbers {
    const start = first % this.#rows;
    const together = Math.min(count, this.#rows - start);
    const view = all.subarray(start * width, (start + together) * width) as Numbers;
    if (together === count) return view;
    const whole = all.slice(0, 0).constructor as new (length: number) => Numbers;
    const gathered = new whole(count * width);
    gathered.set(view);
    gathered.set(all.subarray(0, (count - together) * width), together * width);
    return gathered;
  }
}
