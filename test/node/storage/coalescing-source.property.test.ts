import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createRandom } from "../../../src/numeric/random.ts";
import type { ReadPriority } from "../../../src/storage/byte-source.ts";
import { type CoalescingOptions, coalescing } from "../../../src/storage/coalescing-source.ts";
import { runs } from "../../helpers/random-cases.ts";
import { SlowLink } from "../../helpers/slow-link.ts";

const content = Uint8Array.from(
  { length: 40_000 },
  (_, index) => (index * 31 + (index >> 8)) % 256,
);
const REQUESTS = 4;
const options: CoalescingOptions = {
  requests: REQUESTS,
  requestBytes: 4000,
  gapBytes: 100,
  backgroundBytes: { least: 500, most: 1500 },
  backgroundMs: 30,
};

/** A read that somebody asks for, after a pause since the one before it. */
interface Asked {
  readonly pauseMs: number;
  readonly offset: number;
  readonly length: number;
  readonly priority: ReadPriority;
  /** When the reader gives up, counted from its asking. */
  readonly patienceMs: number | undefined;
  /** When the reader says that it is urgent after all. */
  readonly raisedMs: number | undefined;
}

const priority = fc.constantFrom<ReadPriority[]>("demand", "prefetch", "fill");
const sometimes = fc.option(fc.nat(60), { nil: undefined, freq: 4 });
const pauseMs = fc.oneof(fc.constant(0), fc.nat(30));

/** A read of any bytes, often of those that others read. */
const anyRead: fc.Arbitrary<Asked> = fc.record({
  pauseMs,
  offset: fc.integer({ min: 0, max: content.length - 6000 }),
  length: fc.integer({ min: 0, max: 6000 }),
  priority,
  patienceMs: sometimes,
  raisedMs: sometimes,
});

/** A read of one record of a row of them, as an engine reads experts. */
const recordRead: fc.Arbitrary<Asked> = fc
  .record({ pauseMs, index: fc.nat(79), priority, patienceMs: sometimes, raisedMs: sometimes })
  .map(({ index, ...rest }) => ({ ...rest, offset: index * 500, length: 500 }));

const link = fc.record({
  seed: fc.nat(),
  latencyMs: fc.nat(40),
  bytesPerMs: fc.integer({ min: 20, max: 2000 }),
  failures: fc.constantFrom(0, 0.2),
});

/** How a read ended. */
interface Ended {
  readonly read: Asked;
  readonly bytes?: Uint8Array;
  readonly error?: { code?: string; message: string };
  readonly tookMs: number;
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

type Link = typeof link extends fc.Arbitrary<infer T> ? T : never;

function slowLink({ seed, latencyMs, bytesPerMs, failures }: Link) {
  const random = createRandom(seed);
  return new SlowLink(content, {
    latencyMs: () => random.integer(latencyMs + 1),
    bytesPerMs,
    fails: () => random.uniform() < failures,
  });
}

/** Asks for `reads` one after the other, each after its pause, and waits for all of them. */
async function ask(below: SlowLink, reads: readonly Asked[]) {
  const source = coalescing(below, options);
  const ended: Ended[] = [];
  for (const read of reads) {
    await vi.advanceTimersByTimeAsync(read.pauseMs);
    void ending(source, read).then((end) => ended.push(end));
  }
  // As long as the slowest link takes for all of it, twice.
  await vi.advanceTimersByTimeAsync(2 * reads.length * (60 + 6000 / 20));
  expect(ended.length, "reads that ended").toBe(reads.length);
  return { source, ended };
}

async function ending(source: ReturnType<typeof coalescing>, read: Asked): Promise<Ended> {
  const { offset, length, priority, patienceMs, raisedMs } = read;
  const control = new AbortController();
  if (patienceMs !== undefined) setTimeout(() => control.abort(), patienceMs);
  if (raisedMs !== undefined) setTimeout(() => source.raise(offset, length, "demand"), raisedMs);
  const started = performance.now();
  const reading = source.read(offset, length, { priority, signal: control.signal });
  return reading.then(
    (bytes) => ({ read, bytes, tookMs: performance.now() - started }),
    (error) => ({ read, error, tookMs: performance.now() - started }),
  );
}

function expectRightEnding({ read, bytes, error }: Ended): void {
  const { offset, length } = read;
  if (bytes) {
    expect(Buffer.compare(bytes, content.subarray(offset, offset + length))).toBe(0);
    return;
  }
  if (error?.code === "aborted") {
    expect(read.patienceMs).toBeDefined();
    return;
  }
  // A failed request fails only those who wanted its bytes.
  const failed = /^Bytes (\d+) to (\d+) did not come/.exec(error?.message ?? "");
  expect(failed, error?.message).not.toBeNull();
  expect(Number(failed?.[1])).toBeLessThan(offset + length);
  expect(Number(failed?.[2])).toBeGreaterThan(offset);
}

describe("reads in any order, of any priority, given up and failing at any time", () => {
  // That no byte is asked for twice at once is looked after by the link: it throws.
  test("bring exactly their bytes, and never too many requests at once", async () => {
    await fc.assert(
      fc.asyncProperty(link, fc.array(anyRead, { maxLength: 40 }), async (behaviour, reads) => {
        const below = slowLink(behaviour);
        const { source, ended } = await ask(below, reads);

        for (const end of ended) expectRightEnding(end);
        expect(below.mostAtOnce).toBeLessThanOrEqual(REQUESTS);
        expect(source.counters.requests).toBe(below.log.length);
        for (const { start, end, priority } of below.log) {
          expect(end - start).toBeLessThanOrEqual(priority === "demand" ? 4000 : 1500);
        }
      }),
      { numRuns: runs(150) },
    );
  });

  test("take at most a request each when they are of records", async () => {
    await fc.assert(
      fc.asyncProperty(link, fc.array(recordRead, { maxLength: 60 }), async (behaviour, reads) => {
        const below = slowLink(behaviour);
        const { ended } = await ask(below, reads);

        for (const end of ended) expectRightEnding(end);
        expect(below.log.length).toBeLessThanOrEqual(reads.length);
      }),
      { numRuns: runs(100) },
    );
  });

  test("are each tried to the end: without failures and impatience all succeed", async () => {
    const patient = anyRead.map((read) => ({ ...read, patienceMs: undefined }));
    await fc.assert(
      fc.asyncProperty(link, fc.array(patient, { maxLength: 40 }), async (behaviour, reads) => {
        const { ended } = await ask(slowLink({ ...behaviour, failures: 0 }), reads);

        expect(ended.filter(({ error }) => error)).toEqual([]);
      }),
      { numRuns: runs(50) },
    );
  });
});

describe("a token's read", () => {
  const background = anyRead.map((read): Asked => {
    const kept = read.priority === "demand" ? "fill" : read.priority;
    return { ...read, priority: kept, patienceMs: undefined, raisedMs: undefined };
  });
  const demand = fc.record({
    offset: fc.nat(content.length - 4000),
    length: fc.integer({ min: 1, max: 4000 }),
    afterMs: fc.nat(200),
  });

  test("waits for no more than a few small requests, whatever else is asked for", async () => {
    await fc.assert(
      fc.asyncProperty(
        link,
        fc.array(background, { minLength: 10, maxLength: 60 }),
        demand,
        async (behaviour, reads, { afterMs, ...wanted }) => {
          const below = slowLink({ ...behaviour, failures: 0 });
          const source = coalescing(below, options);
          for (const read of reads) void ending(source, { ...read, pauseMs: 0 });
          await vi.advanceTimersByTimeAsync(afterMs);
          const urgent = { pauseMs: 0, patienceMs: undefined, raisedMs: undefined };
          const done = ending(source, { ...wanted, ...urgent, priority: "demand" });
          await vi.advanceTimersByTimeAsync(60_000);
          const { tookMs } = await done;

          // What is under way in the slots that it may not take, then itself, and beside it one prefetch that gets half.
          const bytes = (REQUESTS - 1) * 1500 + 2 * wanted.length;
          // One tick of the link is lost at each end of a request, one to gather.
          const slackMs = 4;
          expect(tookMs).toBeLessThanOrEqual(
            behaviour.latencyMs + bytes / behaviour.bytesPerMs + slackMs,
          );
        },
      ),
      { numRuns: runs(150) },
    );
  });
});
