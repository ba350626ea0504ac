import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { blobSource } from "../../../src/storage/blob-source.ts";
import type { ByteSource } from "../../../src/storage/byte-source.ts";
import { openFileSource } from "../../../src/storage/file-source.ts";
import { openHttpSource } from "../../../src/storage/http-source.ts";
import { memorySource } from "../../../src/storage/memory-source.ts";
import { serveFile } from "../../helpers/file-server.ts";
import { runs } from "../../helpers/random-cases.ts";

const content = Uint8Array.from({ length: 1000 }, (_, index) => (index * 7) % 256);

async function temporaryFile(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, "content.bin");
  await writeFile(path, content);
  return path;
}

async function fileSource(): Promise<ByteSource> {
  const source = await openFileSource(await temporaryFile());
  onTestFinished(() => source.close());
  return source;
}

async function httpSource(noRange: boolean): Promise<ByteSource> {
  const server = await serveFile(content, { noRange });
  const source = await openHttpSource(server.url);
  onTestFinished(async () => {
    await source.close();
    await server[Symbol.asyncDispose]();
  });
  return source;
}

/** Every kind of source, over `content`. */
const sources: Record<string, () => Promise<ByteSource>> = {
  memory: async () => memorySource(content),
  "memory of a buffer": async () => memorySource(content.buffer),
  blob: async () => blobSource(new Blob([content])),
  file: fileSource,
  http: () => httpSource(false),
  "http without Range": () => httpSource(true),
};

describe.for(Object.entries(sources))("%s source", ([, open]) => {
  test("gives any part of its bytes", async () => {
    const source = await open();

    expect(source.bytes).toBe(content.length);
    await fc.assert(
      fc.asyncProperty(fc.nat(content.length), fc.nat(content.length), async (a, b) => {
        const [start, end] = [Math.min(a, b), Math.max(a, b)];
        expect(await source.read(start, end - start)).toEqual(content.slice(start, end));
      }),
      { numRuns: runs(25) },
    );
  });

  test("gives a buffer of the caller's own", async () => {
    const source = await open();
    const part = await source.read(10, 5);
    part.fill(0);

    expect(part.buffer.byteLength).toBe(5);
    expect(await source.read(10, 5)).toEqual(content.slice(10, 15));
  });

  test("refuses what reaches past the end", async () => {
    const source = await open();

    await expect(source.read(990, 11)).rejects.toMatchObject({ code: "truncated-file" });
    await expect(source.read(2 ** 50, 0)).rejects.toMatchObject({ code: "truncated-file" });
    await expect(source.read(-1, 2)).rejects.toMatchObject({ code: "bad-input" });
    await expect(source.read(0, Number.NaN)).rejects.toMatchObject({ code: "bad-input" });
  });

  test("stops when the signal has fired", async () => {
    const source = await open();
    const reading = source.read(0, 1, { signal: AbortSignal.abort() });

    await expect(reading).rejects.toMatchObject({ code: "aborted" });
  });
});

test("a file that is not there is not found", async () => {
  await expect(openFileSource("/no/such/file")).rejects.toMatchObject({ code: "not-found" });
});

test("a file that shrinks while it is read is truncated", async () => {
  const path = await temporaryFile();
  const source = await openFileSource(path);
  onTestFinished(() => source.close());
  await truncate(path, 500);

  await expect(source.read(400, 200)).rejects.toMatchObject({ code: "truncated-file" });
});

test("a File keeps its name", () => {
  expect(blobSource(new File([content], "model.gguf")).name).toBe("model.gguf");
});
