import { describe, expect, test } from "vitest";
import { openGguf } from "../../../src/gguf/gguf.ts";
import { joinSources } from "../../../src/storage/joined-source.ts";
import { memorySource } from "../../../src/storage/memory-source.ts";
import { partNames, splitGguf } from "../../helpers/gguf-layouts.ts";
import { g, writeGguf } from "../../helpers/gguf-writer.ts";
import { tinyModel } from "../../helpers/tiny-models.ts";

const MODEL = tinyModel({ architecture: "qwen3moe", hidden: 32, ffn: 32, headDim: 8 });
const COUNTS = [4, 1, 100] as const;

function sourceOf(parts: readonly Uint8Array[]) {
  const names = partNames("tiny", parts.length);
  return joinSources(parts.map((part, index) => memorySource(part, names[index])));
}

async function failureOf(parts: readonly Uint8Array[]): Promise<unknown> {
  return openGguf(sourceOf(parts)).then(
    () => "opened",
    (error: unknown) => error,
  );
}

test("a split model has the tensors and the keys of the whole one", async () => {
  const whole = await openGguf(memorySource(MODEL));
  const split = await openGguf(sourceOf(await splitGguf(MODEL, COUNTS)));

  expect([...split.tensors.keys()]).toEqual([...whole.tensors.keys()]);
  expect(split.metadata.keys.filter((key) => !key.startsWith("split."))).toEqual(
    whole.metadata.keys,
  );
  for (const [name, info] of whole.tensors) {
    const part = split.tensors.get(name)!;
    expect(part).toMatchObject({ shape: info.shape, ggmlType: info.ggmlType, bytes: info.bytes });
    expect(await split.source.read(part.byteOffset, part.bytes)).toEqual(
      await whole.source.read(info.byteOffset, info.bytes),
    );
  }
});

test("the headers of the parts are read, and nothing else", async () => {
  const parts = await splitGguf(MODEL, COUNTS);
  const source = sourceOf(parts);
  const reads: [number, number][] = [];
  await openGguf({
    ...source,
    read(offset, length, options) {
      reads.push([offset, length]);
      return source.read(offset, length, options);
    },
  });

  expect(reads).toHaveLength(3);
});

describe("parts that do not belong together are refused with a sentence", () => {
  test.for<[string, (parts: readonly Uint8Array[]) => Promise<readonly Uint8Array[]>, RegExp]>([
    [
      "in a wrong order",
      async ([a, b, c]) => [a!, c!, b!],
      /^tiny-00002-of-00003\.gguf: .*it says that it is part 3 of 3, and its name says part 2 of 3/,
    ],
    [
      "of another split",
      async ([a, b]) => [a!, b!, (await splitGguf(MODEL, [4, 1, 2, 100]))[2]!],
      /^tiny-00003-of-00003\.gguf: .*part 3 of 4/,
    ],
    [
      "without the keys of a part",
      async ([a, b]) => [a!, b!, writeGguf({ metadata: {} })],
      /^tiny-00003-of-00003\.gguf: .*does not say that it is a part/,
    ],
    [
      "of a model with other tensors",
      async ([a, b]) => [a!, b!, (await splitGguf(MODEL, [1, 4, 1]))[2]!],
      /^tiny-00001-of-00003\.gguf: .*says that all have \d+ tensors, and they have \d+/,
    ],
    [
      "with a tensor twice",
      async ([a, b]) => [a!, b!, (await splitGguf(MODEL, [1, 2, 100]))[2]!],
      /^tiny-00003-of-00003\.gguf: .*tensor .* is in an earlier part too/,
    ],
    [
      "of another architecture",
      async ([a, b]) => [
        a!,
        b!,
        writeGguf({
          metadata: {
            "general.architecture": g.string("olmoe"),
            "split.no": g.u32(2),
            "split.count": g.u32(3),
          },
        }),
      ],
      /^tiny-00003-of-00003\.gguf: .*general\.architecture is "olmoe", not "qwen3moe"/,
    ],
  ])("%s", async ([, change, message]) => {
    const parts = await change(await splitGguf(MODEL, COUNTS));

    expect(await failureOf(parts)).toMatchObject({
      code: "bad-file",
      message: expect.stringMatching(message),
    });
  });

  test("a part that comes alone", async () => {
    const [, second] = await splitGguf(MODEL, COUNTS);

    expect(await failureOf([second!])).toMatchObject({
      code: "not-found",
      message: expect.stringMatching(/part 2 of a model split into 3 parts.*MODEL-00001-of-00003/),
    });
  });

  test("a part that is cut short is named", async () => {
    const [a, b, c] = await splitGguf(MODEL, COUNTS);

    expect(await failureOf([a!, b!.subarray(0, b!.length - 200), c!])).toMatchObject({
      code: "truncated-file",
      message: expect.stringMatching(/^tiny-00002-of-00003\.gguf: tensor /),
    });
  });
});
