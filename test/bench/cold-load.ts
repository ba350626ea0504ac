// A cold load in the engine's pattern through a slow server, with and without coalescing:
//   node test/bench/run.mjs test/bench/cold-load.ts --speed 20 --latency 30 [--scale 8] [--gap KiB] [--request KiB] ...
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { type GgufFile, openGguf } from "../../src/gguf/gguf.ts";
import { createRandom } from "../../src/numeric/random.ts";
import type { ByteSource, ReadPriority } from "../../src/storage/byte-source.ts";
import { type CoalescingOptions, coalescing } from "../../src/storage/coalescing-source.ts";
import { openHttpSource } from "../../src/storage/http-source.ts";
import { memorySource } from "../../src/storage/memory-source.ts";
import { type FileServer, serveFile } from "../helpers/file-server.ts";

const FLAGS = {
  model: { type: "string", default: "test/models/sluice-tiny.gguf" },
  /** Megabytes a second, and milliseconds before the first byte. */
  speed: { type: "string", default: "20" },
  latency: { type: "string", default: "30" },
  /** Tensors this many times as large, for the shape of a larger model. */
  scale: { type: "string", default: "1" },
  runs: { type: "string", default: "3" },
  plain: { type: "boolean", default: false },
  gap: { type: "string" },
  request: { type: "string" },
  requests: { type: "string" },
  gather: { type: "string" },
  background: { type: "string" },
} as const;

const KIB = 1024;
const READ_BYTES = 4096 * KIB;
const READ_GAP_BYTES = 64 * KIB;
/** Of a layer's experts, those that a prompt of some tokens routes to. */
const PROMPT_SHARE = 0.6;
/** Of those, and of the others, what is fetched ahead of its layer. */
const GUESSED = { right: 0.6, wrong: 0.2 };
const LAYER_MS = 4;
const TOKEN_MS = 25;
const FILL_LANES = 4;

interface Range {
  readonly offset: number;
  readonly bytes: number;
}

/** What a model is made of, for who fetches it. */
interface Shape {
  /** Read one after the other. */
  readonly resident: readonly Range[];
  /** `[layers][experts]`: the ranges of each record. */
  readonly experts: readonly (readonly (readonly Range[])[])[];
}

interface Result {
  readonly requests: number;
  readonly megabytes: number;
  readonly firstTokenMs: number;
  readonly totalMs: number;
  /** What tokens waited for their experts while the background filled. */
  readonly stallMs: { readonly median: number; readonly most: number };
}

export async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: FLAGS });
  const scale = Number(values.scale);
  const model = await readFile(values.model);
  const shape = shapeOf(await openGguf(memorySource(model)), scale);
  const content = new Uint8Array(model.length * scale);
  const behaviour = {
    bytesPerSecond: 1e6 * Number(values.speed),
    delayMs: Number(values.latency),
  };
  for (const coalesced of values.plain ? [false, true] : [true]) {
    const results: Result[] = [];
    for (let run = 0; run < Number(values.runs); run++) {
      const server = await serveFile(content, behaviour);
      results.push(await measure(server, shape, coalesced ? optionsOf(values) : undefined, run));
      await server[Symbol.asyncDispose]();
    }
    results.sort((a, b) => a.totalMs - b.totalMs);
    print(coalesced ? "coalesced" : "plain", results[results.length >> 1]!);
  }
}

function optionsOf(values: Record<string, string | boolean | undefined>): CoalescingOptions {
  const number = (name: string, unit = 1) =>
    values[name] === undefined ? undefined : Number(values[name]) * unit;
  const given = {
    gapBytes: number("gap", KIB),
    requestBytes: number("request", KIB),
    requests: number("requests"),
    gatherMs: number("gather"),
    backgroundMs: number("background"),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function shapeOf(file: GgufFile, scale: number): Shape {
  const infos = [...file.tensors.values()].sort((a, b) => a.byteOffset - b.byteOffset);
  const resident: Range[] = [];
  const layers = new Map<string, Range[][]>();
  for (const { name, shape, byteOffset, bytes } of infos) {
    const range = { offset: byteOffset * scale, bytes: bytes * scale };
    if (shape.length < 3) {
      addRun(resident, range);
      continue;
    }
    const [experts] = shape as [number, number, number];
    const layer = name.slice(0, name.lastIndexOf(".ffn"));
    const records = layers.get(layer) ?? Array.from({ length: experts }, () => []);
    layers.set(layer, records);
    const each = range.bytes / experts;
    for (const [index, record] of records.entries()) {
      record.push({ offset: range.offset + index * each, bytes: each });
    }
  }
  return { resident, experts: [...layers.values()] };
}

/** As `ResidentWeights` reads: neighbours together, in pieces. */
function addRun(runs: Range[], { offset, bytes }: Range): void {
  const last = runs.at(-1);
  const isNear = last && offset - last.offset - last.bytes <= READ_GAP_BYTES;
  if (isNear && offset + bytes - last.offset <= READ_BYTES) {
    runs[runs.length - 1] = { offset: last.offset, bytes: offset + bytes - last.offset };
    return;
  }
  for (let from = 0; from < bytes; from += READ_BYTES) {
    runs.push({ offset: offset + from, bytes: Math.min(READ_BYTES, bytes - from) });
  }
}

async function measure(
  server: FileServer,
  shape: Shape,
  options: CoalescingOptions | undefined,
  seed: number,
): Promise<Result> {
  const started = performance.now();
  const http = await openHttpSource(server.url);
  const loading = new Loading(options ? coalescing(http, options) : http, shape, seed);
  await loading.source.read(0, Math.min(1024 * KIB, http.bytes));
  for (const { offset, bytes } of shape.resident) await loading.source.read(offset, bytes);
  await loading.prompt();
  const firstTokenMs = performance.now() - started;
  const stalls = await loading.decodeAndFill();
  const totalMs = performance.now() - started;
  await loading.source.close?.();
  stalls.sort((a, b) => a - b);
  return {
    requests: server.requests,
    megabytes: server.sentBytes / 1e6,
    firstTokenMs,
    totalMs,
    stallMs: { median: stalls[stalls.length >> 1] ?? 0, most: stalls.at(-1) ?? 0 },
  };
}

/** Fetches records as `Records` does: once each, shared by who asks while they come. */
class Loading {
  readonly source: ByteSource;
  readonly #shape: Shape;
  readonly #random;
  readonly #coming = new Map<readonly Range[], Promise<unknown>>();

  constructor(source: ByteSource, shape: Shape, seed: number) {
    this.source = source;
    this.#shape = shape;
    this.#random = createRandom(seed);
  }

  /** Layer by layer: what is routed now, while the next layer is fetched ahead. */
  async prompt(): Promise<void> {
    const layers = this.#shape.experts;
    const chance = (share: number) => this.#random.uniform() < share;
    const routed = layers.map((records) => new Set(records.filter(() => chance(PROMPT_SHARE))));
    for (const [index, records] of routed.entries()) {
      const needed = [...records].map((record) => this.#fetch(record, "demand"));
      for (const record of layers[index + 1] ?? []) {
        const isRight = routed[index + 1]?.has(record);
        if (chance(isRight ? GUESSED.right : GUESSED.wrong)) void this.#fetch(record, "prefetch");
      }
      await Promise.all(needed);
      await pause(LAYER_MS);
    }
  }

  /** Tokens that miss an expert each, while lanes fetch the rest; gives what each token waited. */
  async decodeAndFill(): Promise<number[]> {
    const lane = async () => {
      for (let next = this.#absent()[0]; next; next = this.#absent()[0]) {
        await this.#fetch(next, "fill");
      }
    };
    const filled = Promise.all(Array.from({ length: FILL_LANES }, lane));
    const stalls: number[] = [];
    for (let absent = this.#absent(); absent.length > 0; absent = this.#absent()) {
      const asked = performance.now();
      await this.#fetch(absent[this.#random.integer(absent.length)]!, "demand");
      stalls.push(performance.now() - asked);
      await pause(TOKEN_MS);
    }
    await Promise.all([filled, ...this.#coming.values()]);
    return stalls;
  }

  #absent(): (readonly Range[])[] {
    return this.#shape.experts.flat().filter((record) => !this.#coming.has(record));
  }

  #fetch(record: readonly Range[], priority: ReadPriority): Promise<unknown> {
    const coming = this.#coming.get(record);
    if (coming) {
      for (const { offset, bytes } of record) this.source.raise?.(offset, bytes, priority);
      return coming;
    }
    const reads = record.map(({ offset, bytes }) => this.source.read(offset, bytes, { priority }));
    const fetched = Promise.all(reads);
    this.#coming.set(record, fetched);
    return fetched;
  }
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

function print(
  name: string,
  { requests, megabytes, firstTokenMs, totalMs, stallMs }: Result,
): void {
  const round = (value: number) => Math.round(value).toString();
  console.log(
    `${name.padEnd(10)} ${requests} requests, ${megabytes.toFixed(1)} MB, first token ${round(firstTokenMs)} ms, ` +
      `all ${round(totalMs)} ms, stalls ${round(stallMs.median)} ms (most ${round(stallMs.most)})`,
  );
}
