import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { ReadPriority } from "../../../src/storage/byte-source.ts";
import {
  type CoalescingOptions,
  type CoalescingSource,
  coalescing,
} from "../../../src/storage/coalescing-source.ts";
import { openHttpSource } from "../../../src/storage/http-source.ts";
import { serveFile } from "../../helpers/file-server.ts";
import { SlowLink } from "../../helpers/slow-link.ts";

const content = Uint8Array.from(
  { length: 50_000 },
  (_, index) => (index * 31 + (index >> 8)) % 256,
);
const part = (offset: number, length: number) => content.slice(offset, offset + length);

/** A coalescing source of small limits above a link of 10 ms and 1000 bytes a millisecond, on a clock that stands still. */
function open(options: CoalescingOptions = {}): { link: SlowLink; source: CoalescingSource } {
  vi.useFakeTimers();
  onTestFinished(() => {
    vi.useRealTimers();
  });
  const link = new SlowLink(content, { latencyMs: () => 10, bytesPerMs: 1000 });
  const small = { requestBytes: 4000, gapBytes: 100, backgroundBytes: { least: 1000, most: 1000 } };
  return { link, source: coalescing(link, { requests: 3, ...small, ...options }) };
}

const spans = ({ log }: SlowLink) => log.map(({ start, end }) => [start, end]);
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe("reads that come together", () => {
  test("of neighbours and across small gaps share a request", async () => {
    const { link, source } = open();
    const reads = [source.read(600, 400), source.read(0, 300), source.read(300, 250)];
    await pass(50);

    expect(await Promise.all(reads)).toEqual([part(600, 400), part(0, 300), part(300, 250)]);
    expect(spans(link)).toEqual([[0, 1000]]);
    expect(source.counters).toEqual({ reads: 3, requests: 1, bytes: 1000, mostAtOnce: 1 });
  });

  test("across a large gap, or past the longest request, do not", async () => {
    const { link, source } = open();
    const reads = [source.read(0, 300), source.read(401, 2000), source.read(2401, 2001)];
    await pass(50);
    await Promise.all(reads);

    expect(spans(link)).toEqual([
      [0, 300],
      [401, 2401],
      [2401, 4402],
    ]);
  });

  test("of one long part are cut evenly and put together", async () => {
    const { link, source } = open();
    const read = source.read(100, 6000);
    await pass(50);

    expect(await read).toEqual(part(100, 6000));
    expect(spans(link)).toEqual([
      [100, 3100],
      [3100, 6100],
    ]);
  });

  test("of the same bytes ask once", async () => {
    const { link, source } = open();
    const first = source.read(0, 1000);
    await pass(5);
    const [inside, across] = [source.read(100, 50), source.read(500, 1000)];
    await pass(50);

    expect(await Promise.all([first, inside, across])).toEqual([
      part(0, 1000),
      part(100, 50),
      part(500, 1000),
    ]);
    expect(spans(link)).toEqual([
      [0, 1000],
      [1000, 1500],
    ]);
  });

  test("give every reader bytes of its own", async () => {
    const { source } = open();
    const reads = [source.read(0, 100), source.read(0, 100)];
    await pass(50);
    const [first, second] = await Promise.all(reads);
    first?.fill(0);

    expect(second).toEqual(part(0, 100));
  });
});

describe("priorities", () => {
  const asOrdered = (link: SlowLink) => link.log.map(({ start }) => start);

  test("decide who goes first, then the order of asking, then the offset", async () => {
    const { link, source } = open({ requests: 2 });
    const asked: [number, ReadPriority][] = [
      [3000, "fill"],
      [9000, "prefetch"],
      [8000, "prefetch"],
      [40_000, "demand"],
    ];
    for (const [offset, priority] of asked) void source.read(offset, 500, { priority });
    await pass(2);
    void source.read(5000, 500, { priority: "prefetch" });
    await pass(200);

    expect(asOrdered(link)).toEqual([40_000, 8000, 9000, 5000, 3000]);
  });

  test("keep a request free for what a token waits for", async () => {
    const { link, source } = open();
    for (let index = 0; index < 9; index++) {
      void source.read(index * 5000, 1000, { priority: "fill" });
    }
    await pass(2);
    expect(link.log.length).toBe(2);

    const read = source.read(47_000, 1000);
    await pass(2);
    expect(link.log.at(-1)).toMatchObject({ start: 47_000, priority: "demand" });
    await pass(200);
    expect(await read).toEqual(part(47_000, 1000));
  });

  test("hold fill back while a token waits, and let through one prefetch", async () => {
    const { link, source } = open({ requests: 6 });
    void source.read(0, 1000);
    for (const offset of [10_000, 20_000]) void source.read(offset, 500, { priority: "prefetch" });
    void source.read(30_000, 500, { priority: "fill" });
    await pass(5);
    expect(asOrdered(link)).toEqual([0, 10_000]);

    await pass(100);
    expect(asOrdered(link)).toEqual([0, 10_000, 20_000, 30_000]);
  });

  test("of a read that waits for bytes under way hold fill back too", async () => {
    const { link, source } = open({ requests: 6 });
    void source.read(0, 1000, { priority: "fill" });
    await pass(2);
    void source.read(0, 500);
    void source.read(10_000, 500, { priority: "fill" });
    await pass(5);
    expect(asOrdered(link)).toEqual([0]);

    await pass(50);
    expect(asOrdered(link)).toEqual([0, 10_000]);
  });

  test("can rise: what was to come last comes next", async () => {
    const { link, source } = open({ requests: 2 });
    for (const offset of [0, 5000, 10_000]) void source.read(offset, 500, { priority: "fill" });
    await pass(2);
    source.raise(10_000, 500, "demand");
    await pass(200);

    expect(asOrdered(link)).toEqual([0, 10_000, 5000]);
    expect(link.log[1]?.priority).toBe("demand");
  });

  test("rise by another read of the same bytes, which are fetched once", async () => {
    const { link, source } = open({ requests: 2 });
    const fills = [0, 5000, 10_000].map((at) => source.read(at, 500, { priority: "fill" }));
    await pass(2);
    const wanted = source.read(10_000, 500);
    await pass(200);

    expect(asOrdered(link)).toEqual([0, 10_000, 5000]);
    expect(await wanted).toEqual(await fills[2]);
  });
});

describe("a read that is given up", () => {
  test("leaves its request to the others", async () => {
    const { link, source } = open();
    const control = new AbortController();
    const leaving = source.read(0, 500, { signal: control.signal });
    const staying = source.read(500, 500);
    const left = expect(leaving).rejects.toMatchObject({ code: "aborted" });
    await pass(5);
    control.abort();
    await left;
    await pass(50);

    expect(await staying).toEqual(part(500, 500));
    expect(spans(link)).toEqual([[0, 1000]]);
  });

  test("ends its request when it was alone, and its bytes can be asked for again", async () => {
    const { link, source } = open();
    const control = new AbortController();
    const leaving = source.read(0, 500, { signal: control.signal });
    const left = expect(leaving).rejects.toMatchObject({ code: "aborted" });
    await pass(5);
    control.abort();
    const again = source.read(0, 500);
    await left;
    await pass(50);

    expect(await again).toEqual(part(0, 500));
    expect(spans(link)).toEqual([
      [0, 500],
      [0, 500],
    ]);
    expect(source.counters.bytes).toBe(500);
  });

  test("before its request is never asked for", async () => {
    const { link, source } = open();
    const control = new AbortController();
    const leaving = source.read(0, 500, { signal: control.signal });
    control.abort();

    await expect(leaving).rejects.toMatchObject({ code: "aborted" });
    await pass(50);
    expect(link.log).toEqual([]);
  });
});

describe("an end", () => {
  test("of the file is known before anything is asked", async () => {
    const { source } = open();

    await expect(source.read(49_999, 2)).rejects.toMatchObject({ code: "truncated-file" });
    expect(source.counters.requests).toBe(0);
  });

  test("of the source ends what is asked for and what is under way", async () => {
    const { source } = open({ requests: 1 });
    const reads = [source.read(0, 500), source.read(5000, 500)];
    const ended = reads.map((read) => expect(read).rejects.toMatchObject({ code: "aborted" }));
    await pass(5);
    await source.close();
    await Promise.all(ended);

    await expect(source.read(0, 500)).rejects.toMatchObject({ code: "aborted" });
  });
});

describe("above a server", () => {
  test("whose connections break at random, every byte is right and comes once", async () => {
    const server = await serveFile(content, { drops: 0.4, seed: 11, bytesPerSecond: 20e6 });
    onTestFinished(() => server[Symbol.asyncDispose]());
    const retry = { attempts: 20, firstDelayMs: 1, stallMs: 2000 };
    const http = await openHttpSource(server.url, { retry });
    const source = coalescing(http, { requestBytes: 4000, gapBytes: 0 });
    onTestFinished(() => source.close());
    const offsets = Array.from({ length: 50 }, (_, index) => index * 1000);
    const parts = await Promise.all(offsets.map((offset) => source.read(offset, 1000)));

    expect(Buffer.compare(Buffer.concat(parts), content)).toBe(0);
    expect(source.counters.requests).toBe(13);
    // One byte tells the file's length.
    expect(http.received).toBeLessThanOrEqual(content.length + 1);
  });
});
