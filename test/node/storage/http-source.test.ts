import { describe, expect, onTestFinished, test, vi } from "vitest";
import {
  type HttpOptions,
  type HttpSource,
  openHttpSource,
} from "../../../src/storage/http-source.ts";
import { type FileServer, type ServerBehaviour, serveFile } from "../../helpers/file-server.ts";

const content = Uint8Array.from(
  { length: 300_000 },
  (_, index) => (index * 31 + (index >> 8)) % 256,
);
const quick = { attempts: 3, firstDelayMs: 1, stallMs: 300 };

async function serve(behaviour: ServerBehaviour = {}): Promise<FileServer> {
  const server = await serveFile(content, behaviour);
  onTestFinished(() => server[Symbol.asyncDispose]());
  return server;
}

async function open(server: FileServer, options: HttpOptions = {}): Promise<HttpSource> {
  const source = await openHttpSource(server.url, { retry: quick, ...options });
  onTestFinished(() => source.close());
  return source;
}

describe("a host that serves parts", () => {
  test("sends what is read and no more", async () => {
    const server = await serve();
    let told = 0;
    const source = await open(server, { onBytes: (bytes) => (told += bytes) });
    const part = await source.read(1000, 5000);

    expect(part).toEqual(content.slice(1000, 6000));
    expect(source.ranged).toBe(true);
    expect(source.received).toBeLessThanOrEqual(5001);
    expect(told).toBe(source.received);
    expect(server.requests).toBe(2);
  });

  test("resumes from the byte reached after each break", async () => {
    const server = await serve({ breakAfterBytes: 30_000 });
    const source = await open(server);

    expect(Buffer.compare(await source.read(0, content.length), content)).toBe(0);
    expect(source.received).toBeLessThanOrEqual(content.length + 1);
    expect(server.requests).toBe(1 + content.length / 30_000);
  });

  test("gets a few requests at once and no more", async () => {
    const server = await serve({ delayMs: 5 });
    const source = await open(server, { requests: 3 });
    const offsets = Array.from({ length: 20 }, (_, index) => index * 1000);
    const parts = await Promise.all(offsets.map((offset) => source.read(offset, 1000)));

    expect(server.mostOpen).toBeLessThanOrEqual(3);
    parts.forEach((part, index) => {
      expect(part).toEqual(content.slice(index * 1000, (index + 1) * 1000));
    });
  });

  test("may be busy for a while", async () => {
    const server = await serve({ statuses: [500, 429] });
    const source = await open(server);
    server.behaviour.statuses = [503, 502];

    expect(await source.read(5, 5)).toEqual(content.slice(5, 10));
    expect(server.requests).toBe(6);
  });

  test.for([
    ["seconds", (): string => "1"],
    ["a date", (): string => new Date(Date.now() + 2000).toUTCString()],
  ] as const)("says when to come back in %s, and no request comes before", async ([, when]) => {
    const server = await serve();
    const source = await open(server);
    server.behaviour.retryAfter = when();
    server.behaviour.statuses = [429];
    const reads = [0, 1000].map(async (offset): Promise<Uint8Array> => {
      if (offset > 0) await new Promise((resolve) => setTimeout(resolve, 50));
      return source.read(offset, 5);
    });

    expect(await Promise.all(reads)).toEqual([content.slice(0, 5), content.slice(1000, 1005)]);
    const [refused, ...later] = server.log.slice(1);
    // Both reads wait: the pause is the host's, not the request's. Dates are whole seconds.
    expect(later.length).toBe(2);
    for (const { atMs } of later) expect(atMs - (refused?.atMs ?? 0)).toBeGreaterThan(950);
  });

  test("is given up after as many failures as the rule says", async () => {
    const server = await serve({ statuses: [500, 500, 500, 500] });

    await expect(open(server)).rejects.toMatchObject({
      code: "network",
      message: expect.stringMatching(/answered 500; tried 3 times.*choose it from disk/),
    });
    expect(server.requests).toBe(3);
  });

  test("is asked again when it sends nothing", async () => {
    const server = await serve();
    const source = await open(server);
    server.behaviour.stalls = 1;

    expect(await source.read(0, 9)).toEqual(content.slice(0, 9));
  });

  test("may hide the length of the file from the page", async () => {
    const server = await serve({ noContentRange: true });
    const source = await open(server);

    expect(source.bytes).toBe(content.length);
    expect(await source.read(7, 7)).toEqual(content.slice(7, 14));
  });

  test("must not change the file under way", async () => {
    const server = await serve();
    const source = await open(server);
    server.behaviour.etag = '"second"';

    await expect(source.read(0, 10)).rejects.toMatchObject({
      code: "network",
      message: expect.stringMatching(/changed on the host/),
    });
  });

  test("may answer the whole file now and then", async () => {
    const server = await serve();
    const source = await open(server, {
      async fetch(input, init) {
        server.behaviour.noRange = server.requests === 1;
        return fetch(input, init);
      },
    });

    expect(await source.read(7, 7)).toEqual(content.slice(7, 14));
    expect(server.requests).toBe(3);
  });

  test("may not answer the whole file every time, which does not mean that it changed", async () => {
    const server = await serve();
    const source = await open(server);
    server.behaviour.noRange = true;

    await expect(source.read(7, 7)).rejects.toMatchObject({
      code: "network",
      message: expect.stringMatching(/the whole file where a part was asked for; tried 3 times/),
    });
  });

  test("is not asked to compare a tag that it calls weak", async () => {
    const server = await serve({ etag: 'W/"first"' });
    const source = await open(server);

    expect(await source.read(7, 7)).toEqual(content.slice(7, 14));
    expect(server.log.at(-1)?.headers["if-range"]).toBeUndefined();
  });

  test("is asked to compare the date where there is no better tag", async () => {
    const lastModified = "Tue, 03 Jun 2025 10:00:00 GMT";
    const server = await serve({ etag: 'W/"first"', lastModified });
    const source = await open(server);
    await source.read(7, 7);

    expect(server.log.at(-1)?.headers["if-range"]).toBe(lastModified);
    server.behaviour.lastModified = "Wed, 04 Jun 2025 10:00:00 GMT";
    await expect(source.read(7, 7)).rejects.toMatchObject({
      message: expect.stringMatching(/changed on the host/),
    });
  });

  test("is asked past the browser's cache", async () => {
    const server = await serve();
    const modes: (string | undefined)[] = [];
    const source = await open(server, {
      fetch(input, init) {
        modes.push(init?.cache);
        return fetch(input, init);
      },
    });
    await source.read(0, 10);

    expect(modes).toEqual(["no-store", "no-store"]);
  });

  test("must send the part that was asked for", async () => {
    const server = await serve();
    const source = await open(server);
    server.behaviour.rangeShift = 3;

    await expect(source.read(0, 10)).rejects.toMatchObject({
      code: "network",
      message: expect.stringMatching(/bytes from 3 where 0 was asked/),
    });
  });

  test("may have an empty file", async () => {
    const server = await serveFile(new Uint8Array(0));
    onTestFinished(() => server[Symbol.asyncDispose]());
    const source = await openHttpSource(server.url);

    expect(source.bytes).toBe(0);
  });
});

describe("a connection that is lost", () => {
  test("and comes back soon is not noticed by who reads", async () => {
    const server = await serve({ bytesPerSecond: 3e6 });
    const source = await open(server, { retry: { ...quick, attempts: 8, firstDelayMs: 10 } });
    const reading = source.read(0, content.length);
    setTimeout(() => server.goOffline(), 40);
    setTimeout(() => server.goOnline(), 90);

    expect(Buffer.compare(await reading, content)).toBe(0);
    expect(server.requests).toBeGreaterThan(2);
    const last = server.log.at(-1);
    expect(last?.range?.start, "the byte where the last request resumed").toBeGreaterThan(0);
  });

  test("ends the read when it does not come back", async () => {
    const server = await serve();
    const source = await open(server);
    server.goOffline();

    await expect(source.read(0, 10)).rejects.toMatchObject({
      code: "network",
      message: expect.stringMatching(/connection failed.*tried 3 times.*load again/),
    });
  });

  test("is waited for as long as the host system knows that it is offline", async () => {
    const server = await serve();
    const source = await open(server, { retry: { ...quick, offlineMs: 10_000 } });
    vi.stubGlobal("navigator", { onLine: false });
    onTestFinished(() => {
      vi.unstubAllGlobals();
    });
    server.goOffline();
    const reading = source.read(0, 10);
    // Ten tries, where three in a row are enough to give up a host that cannot be reached.
    setTimeout(() => server.goOnline(), 400);

    expect(await reading).toEqual(content.slice(0, 10));
  });

  test("is tried again the moment that the host system is back online", async () => {
    const target = new EventTarget();
    vi.stubGlobal("addEventListener", target.addEventListener.bind(target));
    vi.stubGlobal("removeEventListener", target.removeEventListener.bind(target));
    onTestFinished(() => {
      vi.unstubAllGlobals();
    });
    const server = await serve();
    const source = await open(server, { retry: { ...quick, firstDelayMs: 60_000 } });
    server.goOffline();
    const reading = source.read(0, 10);
    setTimeout(() => {
      server.goOnline();
      target.dispatchEvent(new Event("online"));
    }, 100);

    expect(await reading).toEqual(content.slice(0, 10));
  });

  test("at random, again and again, costs no byte and doubles none", async () => {
    const server = await serve({ drops: 0.5, seed: 7, bytesPerSecond: 20e6 });
    const source = await open(server, { retry: { ...quick, attempts: 20 } });
    const offsets = Array.from({ length: 30 }, (_, index) => index * 10_000);
    const parts = await Promise.all(offsets.map((offset) => source.read(offset, 10_000)));

    for (const [index, part] of parts.entries()) {
      expect(Buffer.compare(part, content.subarray(index * 10_000, (index + 1) * 10_000))).toBe(0);
    }
    expect(server.requests).toBeGreaterThan(31);
  });
});

describe("a refusal", () => {
  test.for([
    [404, "not-found", /no such file/],
    [410, "not-found", /no such file/],
    [403, "network", /login or forbids/],
    [400, "network", /Check the address/],
  ] as const)("of %d is %s, at once", async ([status, code, message]) => {
    const server = await serve({ statuses: [status] });

    await expect(open(server)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
    expect(server.requests).toBe(1);
  });

  test("of what is no address is bad input", async () => {
    await expect(openHttpSource("model.gguf")).rejects.toMatchObject({ code: "bad-input" });
  });

  test("of every connection names CORS and the way out", async () => {
    const refused = async () => {
      throw new TypeError("Failed to fetch");
    };
    const opening = openHttpSource("https://host.invalid/m.gguf", { retry: quick, fetch: refused });

    await expect(opening).rejects.toMatchObject({
      code: "network",
      message: expect.stringMatching(/CORS.*choose it from disk/),
    });
  });
});

describe("a signal", () => {
  test("ends a read under way", async () => {
    const server = await serve();
    const source = await open(server);
    server.behaviour.delayMs = 200;
    const reading = source.read(0, 10, { signal: AbortSignal.timeout(20) });

    await expect(reading).rejects.toMatchObject({ code: "aborted" });
  });

  test("ends a read that waits for its turn, and the others go on", async () => {
    const server = await serve();
    const source = await open(server, { requests: 1 });
    server.behaviour.delayMs = 100;
    const first = source.read(0, 10);
    const second = source.read(10, 10, { signal: AbortSignal.timeout(10) });
    const third = source.read(20, 10);

    await expect(second).rejects.toMatchObject({ code: "aborted" });
    expect(await first).toEqual(content.slice(0, 10));
    expect(await third).toEqual(content.slice(20, 30));
  });

  test("ends the pause before another try", async () => {
    const server = await serve({ statuses: [500] });
    const slow = { ...quick, firstDelayMs: 60_000 };
    const opening = openHttpSource(server.url, { retry: slow, signal: AbortSignal.timeout(50) });

    await expect(opening).rejects.toMatchObject({ code: "aborted" });
  });

  test.for([false, true])("given at the opening ends every read, no Range: %s", async (noRange) => {
    const server = await serve({ noRange });
    const control = new AbortController();
    const source = await open(server, { signal: control.signal });
    control.abort();

    await expect(source.read(0, 10)).rejects.toMatchObject({ code: "aborted" });
  });
});

describe("a host that ignores Range", () => {
  test("streams the file once, whatever is read in whatever order", async () => {
    const server = await serve({ noRange: true });
    const source = await open(server);
    const end = source.read(content.length - 10, 10);
    const start = source.read(0, 10);

    expect(source.ranged).toBe(false);
    expect(await end).toEqual(content.slice(-10));
    expect(await start).toEqual(content.slice(0, 10));
    expect(Buffer.compare(await source.read(0, content.length), content)).toBe(0);
    expect(server.requests).toBe(2);
  });

  test("may not tell the length", async () => {
    const server = await serve({ noRange: true, noLength: true });
    const source = await open(server);

    expect(source.bytes).toBe(content.length);
    expect(await source.read(9, 9)).toEqual(content.slice(9, 18));
  });

  test("is asked from the start again after a break, and nothing arrives twice", async () => {
    const server = await serve({ noRange: true });
    server.behaviour.breakAfterBytes = 100_000;
    server.behaviour.breaks = 2;
    const source = await open(server);

    expect(Buffer.compare(await source.read(0, content.length), content)).toBe(0);
  });

  test("fails the reads that wait when it breaks for good", async () => {
    const server = await serve({ noRange: true, breakAfterBytes: 100_000 });
    const source = await open(server);

    await expect(source.read(200_000, 10)).rejects.toMatchObject({ code: "network" });
    await expect(source.read(250_000, 10)).rejects.toMatchObject({ code: "network" });
    expect(await source.read(10, 10)).toEqual(content.slice(10, 20));
  });

  test("must not change the file under way", async () => {
    const server = await serve({ noRange: true });
    const source = openHttpSource(server.url, {
      retry: quick,
      fetch: async (input, init) => {
        const response = await fetch(input, init);
        server.behaviour.etag = '"second"';
        return response;
      },
    });

    await expect((await source).read(0, 10)).rejects.toMatchObject({
      message: expect.stringMatching(/changed on the host/),
    });
  });
});
