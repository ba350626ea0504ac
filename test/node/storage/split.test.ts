import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import type { ByteSource } from "../../../src/storage/byte-source.ts";
import { coalescing } from "../../../src/storage/coalescing-source.ts";
import { openFileSource } from "../../../src/storage/file-source.ts";
import { joinSources } from "../../../src/storage/joined-source.ts";
import { memorySource } from "../../../src/storage/memory-source.ts";
import { openParts } from "../../../src/storage/open-parts.ts";
import { blobsSource } from "../../../src/storage/split-blobs.ts";
import { openSplitHttpSource } from "../../../src/storage/split-http-source.ts";
import { firstName, splitNames } from "../../../src/storage/split-names.ts";
import { serveFiles } from "../../helpers/file-server.ts";
import { partNames } from "../../helpers/gguf-layouts.ts";
import { runs } from "../../helpers/random-cases.ts";

describe("the names of parts", () => {
  test.for([
    ["a-00002-of-00003.gguf", 1, "a-00001-of-00003.gguf"],
    ["https://h.org/x/a-00003-of-00003.gguf", 2, "https://h.org/x/a-00001-of-00003.gguf"],
    ["https://h.org/a-00001-of-00002.gguf?download=true", 0, undefined],
    [
      "https://h.org/?file=a-00002-of-00002.gguf&x=1",
      1,
      "https://h.org/?file=a-00001-of-00002.gguf&x=1",
    ],
    [
      "/models-00001-of-00002.gguf/a-00002-of-00009.GGUF",
      1,
      "/models-00001-of-00002.gguf/a-00001-of-00009.GGUF",
    ],
  ] as const)("%s is part %i", ([name, index, first = name]) => {
    expect(splitNames(name)).toMatchObject({ index });
    expect(splitNames(name)?.names[index]).toBe(name);
    expect(firstName(name)).toBe(first);
  });

  test.for([
    "model.gguf",
    "a-00001-of-00001.gguf",
    "a-00000-of-00002.gguf",
    "a-00003-of-00002.gguf",
    "a-1-of-2.gguf",
    "a-00001-of-00002.gguf.part",
    "a-00001-of-00002.bin",
  ])("%s is no part", (name) => {
    expect(splitNames(name)).toBeUndefined();
    expect(firstName(name)).toBe(name);
  });

  test("are all found from any of them", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 99_999 }),
        fc.nat(),
        fc.string(),
        (count, any, model) => {
          const names = partNames(model, Math.min(count, 50));
          expect(splitNames(names[any % names.length]!)?.names).toEqual(names);
        },
      ),
      { numRuns: runs(100) },
    );
  });
});

const pieces = fc.array(fc.uint8Array({ maxLength: 12 }), { minLength: 1, maxLength: 5 });

test("joined sources read as their bytes one behind another", async () => {
  await fc.assert(
    fc.asyncProperty(pieces, fc.nat(), fc.nat(), async (parts, a, b) => {
      const all = Uint8Array.from(parts.flatMap((part) => [...part]));
      const source = joinSources(parts.map((part, index) => memorySource(part, `part ${index}`)));
      const [start, end] = [a % (all.length + 1), b % (all.length + 1)].sort((x, y) => x - y) as [
        number,
        number,
      ];

      expect(source.bytes).toBe(all.length);
      expect(await source.read(start, end - start)).toEqual(all.slice(start, end));
      await expect(source.read(start, all.length - start + 1)).rejects.toMatchObject({
        code: "truncated-file",
      });
    }),
    { numRuns: runs(100) },
  );
});

test("joined sources are hurried and closed each for itself", async () => {
  const calls: string[] = [];
  const spy = (name: string): ByteSource => ({
    ...memorySource(new Uint8Array(10), name),
    raise: (offset, length, priority) => calls.push(`${name}: ${offset}+${length} ${priority}`),
    close: async () => void calls.push(`${name}: closed`),
  });
  const source = joinSources([spy("a"), spy("b"), spy("c")]);

  source.raise?.(15, 10, "demand");
  await source.close?.();

  expect(calls).toEqual(["b: 5+5 demand", "c: 0+5 demand", "a: closed", "b: closed", "c: closed"]);
});

const names = partNames("tiny", 3);
const contents = [7, 300, 50].map((length, part) =>
  Uint8Array.from({ length }, (_, index) => (part * 91 + index) % 256),
);
const content = Uint8Array.from(contents.flatMap((part) => [...part]));
const files = new Map(names.map((name, index) => [name, contents[index]!]));

/** The parts as files of a new folder, but for those left out. */
async function folderOf(leftOut: readonly string[] = []): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const [name, bytes] of files) {
    if (!leftOut.includes(name)) await writeFile(join(folder, name), bytes);
  }
  return folder;
}

describe("files on disk", () => {
  test.for(names)("are opened all, from %s", async (name) => {
    const folder = await folderOf();
    const source = joinSources(await openParts(join(folder, name), openFileSource));
    onTestFinished(() => source.close?.());

    expect(source.parts).toEqual(
      names.map((part, index) => ({ name: join(folder, part), bytes: contents[index]!.length })),
    );
    expect(await source.read(0, content.length)).toEqual(content);
  });

  test("that are missing are named, and those that are there are closed", async () => {
    const folder = await folderOf([names[1]!]);
    const closed: string[] = [];
    const open = async (path: string): Promise<ByteSource> => {
      const source = await openFileSource(path);
      const close = async () => {
        closed.push(path);
        await source.close();
      };
      return { ...source, close };
    };

    await expect(openParts(join(folder, names[2]!), open)).rejects.toMatchObject({
      code: "not-found",
      message: expect.stringMatching(
        /tiny-00002-of-00003\.gguf: .* part 2 of a model split into 3/,
      ),
    });
    expect(closed.sort()).toEqual([names[0], names[2]].map((name) => join(folder, name!)));
  });
});

describe("files on a host", () => {
  test("are one source, whichever was named, whose reads are coalesced across files", async () => {
    await using server = await serveFiles(files);
    const http = await openSplitHttpSource(server.url.replace("00001", "00002"));
    const source = coalescing(http);
    onTestFinished(() => source.close());

    expect(source.parts?.map(({ name }) => name.split("/").at(-1))).toEqual(names);
    expect(http).toMatchObject({ ranged: true, bytes: content.length });
    expect(http.partIdentities).toMatchObject([
      { fileBytes: 7 },
      { fileBytes: 300 },
      { fileBytes: 50 },
    ]);
    const before = source.counters.requests;
    const read = await Promise.all([source.read(0, 6), source.read(5, 310), source.read(300, 57)]);
    expect(read).toEqual([content.slice(0, 6), content.slice(5, 315), content.slice(300, 357)]);
    expect(source.counters.requests - before).toBe(1);
    expect(http.received).toBeGreaterThanOrEqual(content.length);
  });

  test("that ignores Range are streamed", async () => {
    await using server = await serveFiles(files, { noRange: true });
    const http = await openSplitHttpSource(server.url);
    onTestFinished(() => http.close());

    expect(http.ranged).toBe(false);
    expect(await http.read(0, content.length)).toEqual(content);
  });

  test("of which one is missing are refused with its address", async () => {
    await using server = await serveFiles(new Map([...files].slice(0, 2)));

    await expect(openSplitHttpSource(server.url)).rejects.toMatchObject({
      code: "not-found",
      message: expect.stringMatching(/tiny-00003-of-00003\.gguf.* part 3 of a model split into 3/),
    });
  });
});

describe("chosen files", () => {
  const blobs = names.map((name, index) => new File([contents[index]!], name));
  const failure = (chosen: readonly Blob[]): unknown => {
    try {
      return blobsSource(chosen);
    } catch (error) {
      return error;
    }
  };

  test("come in any order", async () => {
    const source = blobsSource([blobs[2]!, blobs[0]!, blobs[1]!]);

    expect(source.parts?.map(({ name }) => name)).toEqual(names);
    expect(await source.read(0, content.length)).toEqual(content);
  });

  test("may be one that is no part, with a name or without", async () => {
    const whole = blobsSource([new File([contents[0]!], "whole.gguf")]);
    const unnamed = blobsSource([new Blob([contents[1]!])]);

    expect(whole).toMatchObject({ name: "whole.gguf", bytes: 7 });
    expect(await unnamed.read(0, 300)).toEqual(contents[1]);
  });

  test.for<[string, readonly Blob[], string, RegExp]>([
    ["nothing", [], "bad-input", /^No file was given/],
    [
      "some",
      [blobs[1]!],
      "not-found",
      /^tiny-00001-of-00003\.gguf, tiny-00003-of-00003\.gguf are missing: .* 3 files/,
    ],
    ["all but one", blobs.slice(0, 2), "not-found", /^tiny-00003-of-00003\.gguf is missing/],
    [
      "two models",
      [...blobs, new File(["x"], "other.gguf")],
      "bad-input",
      /other\.gguf are not the parts of one/,
    ],
    ["one twice", [...blobs, blobs[0]!], "bad-input", /are not the parts of one model/],
    ["two without names", [new Blob(["x"]), new Blob(["y"])], "bad-input", /a blob without a name/],
  ])("that are %s are refused with a sentence", ([, chosen, code, message]) => {
    expect(failure(chosen)).toMatchObject({ code, message: expect.stringMatching(message) });
  });
});
