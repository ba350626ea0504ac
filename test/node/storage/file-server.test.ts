import { describe, expect, onTestFinished, test } from "vitest";
import { type FileServer, type ServerBehaviour, serveFile } from "../../helpers/file-server.ts";

const content = Uint8Array.from({ length: 200_000 }, (_, index) => (index * 31) % 256);

async function serve(behaviour: ServerBehaviour): Promise<FileServer> {
  const server = await serveFile(content, behaviour);
  onTestFinished(() => server[Symbol.asyncDispose]());
  return server;
}

async function get(server: FileServer, start: number, end: number): Promise<Uint8Array> {
  const response = await fetch(server.url, { headers: { Range: `bytes=${start}-${end - 1}` } });
  return new Uint8Array(await response.arrayBuffer());
}

/** The server that other tests trust to be slow, broken and strict when they ask for it. */
describe("the file server of the tests", () => {
  test("brings as many bytes a second as it should, for all connections together", async () => {
    const server = await serve({ bytesPerSecond: 1e6, delayMs: 30 });
    const started = performance.now();
    const parts = await Promise.all([get(server, 0, 100_000), get(server, 100_000, 200_000)]);
    const tookMs = performance.now() - started;

    expect(Buffer.compare(Buffer.concat(parts), content)).toBe(0);
    expect(tookMs).toBeGreaterThan(225);
    const [first, second] = server.log.map(({ endedMs }) => endedMs ?? 0);
    expect(Math.abs((first ?? 0) - (second ?? 0)), "they share evenly").toBeLessThan(100);
  });

  test("records what was asked, in order, and what was sent", async () => {
    const server = await serve({});
    await get(server, 5, 10);
    await get(server, 100, 200);

    expect(server.log.map(({ range, sentBytes }) => [range, sentBytes])).toEqual([
      [{ start: 5, end: 10 }, 5],
      [{ start: 100, end: 200 }, 100],
    ]);
    expect(server.log[1]?.atMs).toBeGreaterThan(server.log[0]?.atMs ?? 0);
    expect(server.sentBytes).toBe(105);
  });

  test("breaks the same answers at the same bytes for the same seed", async () => {
    const sent = async (seed: number) => {
      const server = await serve({ drops: 0.5, seed });
      for (let index = 0; index < 12; index++) await get(server, 0, 50_000).catch(() => {});
      return server.log.map(({ sentBytes }) => sentBytes);
    };

    const first = await sent(3);
    expect(await sent(3)).toEqual(first);
    expect(await sent(4)).not.toEqual(first);
    expect(first).toContain(50_000);
    expect(Math.min(...first)).toBeLessThan(50_000);
  });

  test("is out of reach while it is offline", async () => {
    const server = await serve({});
    server.goOffline();
    await expect(get(server, 0, 10)).rejects.toThrow();
    server.goOnline();

    expect(await get(server, 0, 10)).toEqual(content.slice(0, 10));
  });

  test("shows a page of another origin the headers that it should", async () => {
    const server = await serve({});
    const exposed = async () => {
      const { headers } = await fetch(server.url, { method: "HEAD" });
      expect(headers.get("Access-Control-Allow-Origin")).toBe("*");
      return headers.get("Access-Control-Expose-Headers");
    };

    expect(await exposed()).toMatch(/Content-Range.*ETag/);
    server.behaviour.exposeHeaders = false;
    expect(await exposed()).toBeNull();
  });
});
