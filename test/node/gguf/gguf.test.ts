import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SluiceError } from "../../../src/errors.ts";
import { GGML_TYPES } from "../../../src/gguf/ggml-types.ts";
import { openGguf } from "../../../src/gguf/gguf.ts";
import type { ByteSource } from "../../../src/storage/byte-source.ts";
import { memorySource } from "../../../src/storage/memory-source.ts";
import { ByteWriter, type GgufTensor, g, writeGguf } from "../../helpers/gguf-writer.ts";
import { runs } from "../../helpers/random-cases.ts";

const metadata = {
  "general.architecture": g.string("tiny"),
  "tiny.block_count": g.u32(2),
  "tiny.scale": g.f32(0.5),
  "tiny.bias": g.i32(-3),
  "tiny.big": g.u64(2 ** 40),
  "tiny.vast": g.u64(2n ** 60n),
  "tiny.flag": g.bool(true),
  "tiny.words": g.strings(["a", "", "ünïcode 🐟"]),
  "tiny.heads": g.i32s([4, 8]),
  "tiny.scores": g.f32s([0.25, -1]),
};
const tensors: GgufTensor[] = [
  { name: "a", ggmlType: 0, shape: [2, 3], data: new Uint8Array(24).fill(1) },
  { name: "b.weight", ggmlType: 8, shape: [2, 3, 32], data: new Uint8Array(6 * 34).fill(2) },
];
const tiny = writeGguf({ metadata, tensors });

/** The code of what opening `bytes` throws, or "opened"; any error but a SluiceError fails the test. */
async function outcome(bytes: Uint8Array): Promise<string> {
  try {
    await openGguf(memorySource(bytes));
    return "opened";
  } catch (error) {
    if (error instanceof SluiceError) return error.code;
    throw error;
  }
}

async function messageOf(bytes: Uint8Array): Promise<string> {
  const error: unknown = await openGguf(memorySource(bytes)).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(SluiceError);
  return error instanceof SluiceError ? `${error.code}: ${error.message}` : "";
}

/** A header whose counts and keys the test writes itself. */
function header(tensorCount: number | bigint, keyCount: number | bigint, version = 3): ByteWriter {
  return new ByteWriter().ascii("GGUF").u32(version).u64(tensorCount).u64(keyCount);
}

function withTensor(change: Partial<GgufTensor>): Uint8Array {
  const tensor = { name: "w", ggmlType: 0, shape: [4], data: new Uint8Array(16), ...change };
  return writeGguf({ metadata: {}, tensors: [tensor] });
}

describe("a well-formed file", () => {
  test("gives its keys by type", async () => {
    const file = await openGguf(memorySource(tiny));

    expect(file.metadata.string("general.architecture")).toBe("tiny");
    expect(file.metadata.count("tiny.block_count")).toBe(2);
    expect(file.metadata.number("tiny.scale")).toBe(0.5);
    expect(file.metadata.number("tiny.bias")).toBe(-3);
    expect(file.metadata.number("tiny.big")).toBe(2 ** 40);
    expect(file.metadata.boolean("tiny.flag")).toBe(true);
    expect(file.metadata.strings("tiny.words")).toEqual(["a", "", "ünïcode 🐟"]);
    expect(file.metadata.numberOrArray("tiny.heads")).toEqual([4, 8]);
    expect(file.metadata.numberOrArray("tiny.bias")).toBe(-3);
    expect(file.metadata.numbers("tiny.scores")).toEqual([0.25, -1]);
    expect(file.metadata.optionalString("absent")).toBeUndefined();
    expect(file.metadata.keys).toEqual(Object.keys(metadata));
  });

  test("gives tensors row-major, with bytes that hold their data", async () => {
    const file = await openGguf(memorySource(tiny));

    for (const { name, shape, data } of tensors) {
      const info = file.tensors.get(name);
      expect(info).toMatchObject({ shape, bytes: data.length });
      const at = info?.byteOffset ?? 0;
      expect(at % 32).toBe(0);
      expect(tiny.slice(at, at + data.length)).toEqual(data);
    }
  });

  test("names key, want and got in the error of a wrong type", async () => {
    const file = await openGguf(memorySource(tiny));

    expect(() => file.metadata.number("general.architecture")).toThrow(
      /key general\.architecture must be a number, but is the string "tiny"/,
    );
    expect(() => file.metadata.string("gone")).toThrow(/key gone is missing/);
    expect(() => file.metadata.number("tiny.vast")).toThrow(
      /tiny\.vast.*bigint 1152921504606846976/,
    );
    expect(() => file.metadata.count("tiny.bias")).toThrow(/whole number/);
  });

  test("keeps the number and the extent of a type that it does not know", async () => {
    const bytes = writeGguf({
      metadata: {},
      tensors: [
        { name: "odd", ggmlType: 99, shape: [7], data: new Uint8Array(64) },
        { name: "w", ggmlType: 0, shape: [8], data: new Uint8Array(32) },
      ],
    });
    const file = await openGguf(memorySource(bytes));

    expect(file.tensors.get("odd")).toMatchObject({ ggmlType: 99, bytes: 64 });
  });

  test("reads no more than the header of a large file", async () => {
    const source = memorySource(tiny);
    const reads: number[] = [];
    const large: ByteSource = {
      name: "large",
      bytes: 2 ** 40,
      async read(offset, length) {
        reads.push(offset + length);
        const window = new Uint8Array(length);
        window.set(await source.read(offset, source.bytes - offset));
        return window;
      },
    };

    await openGguf(large);

    expect(reads).toEqual([256 << 10]);
  });

  test("keeps strings whole that cross the parser's windows", async () => {
    const long = "x".repeat(3_000_001);
    const words = Array.from({ length: 2 }, (_, index) => `${index}`.repeat(1_500_000));
    const file = await openGguf(
      memorySource(
        writeGguf({ metadata: { long: g.string(long), words: g.strings(words) }, tensors }),
      ),
    );

    expect(file.metadata.string("long") === long).toBe(true);
    expect(file.metadata.strings("words").every((word, index) => word === words[index])).toBe(true);
    expect(file.tensors.size).toBe(2);
  });

  test("stops when the signal has fired", async () => {
    const opening = openGguf(memorySource(tiny), { signal: AbortSignal.abort() });

    await expect(opening).rejects.toMatchObject({ code: "aborted" });
  });
});

test("version 2 is read as version 3 is", async () => {
  const older = tiny.slice();
  older[4] = 2;
  const [file, wanted] = [await openGguf(memorySource(older)), await openGguf(memorySource(tiny))];

  expect([...file.tensors]).toEqual([...wanted.tensors]);
  expect(file.metadata.keys).toEqual(wanted.metadata.keys);
  expect(file.metadata.strings("tiny.words")).toEqual(wanted.metadata.strings("tiny.words"));
});

describe("a damaged or hostile file", () => {
  test("is told from a whole one at every length", async () => {
    const last = (await openGguf(memorySource(tiny))).tensors.get("b.weight");
    const needed = (last?.byteOffset ?? 0) + (last?.bytes ?? 0);

    for (let length = 0; length < tiny.length; length += 1) {
      const got = await outcome(tiny.subarray(0, length));
      expect(`${length}: ${got}`).toBe(
        `${length}: ${length < needed ? "truncated-file" : "opened"}`,
      );
    }
  });

  test("names the tensor that is cut off", async () => {
    const message = await messageOf(withTensor({ shape: [1000] }));

    expect(message).toMatch(/^truncated-file: .*tensor w wants 4000 bytes at 64, .* ends at 96/);
  });

  test("never throws anything but a SluiceError, whatever bytes change", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(tiny.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        async (changes) => {
          const bytes = tiny.slice();
          for (const [at, value] of changes) bytes[at] = value;
          await outcome(bytes);
        },
      ),
      { numRuns: runs(500) },
    );
  });

  test.for([
    [
      "other bytes",
      new TextEncoder().encode("<!DOCTYPE html><html>"),
      /bad-file: .*not a GGUF.*<!DO/,
    ],
    ["version 1", header(0, 0, 1).finish(), /bad-file: .*version 1/],
    ["version 4", header(0, 0, 4).finish(), /bad-file: .*version 4, and versions 2 and 3/],
    [
      "a byte-swapped magic number",
      new ByteWriter().ascii("FUGG").u32(3).u64(0).u64(0).finish(),
      /bad-file: .*big-endian/,
    ],
    ["big-endian", header(0, 0, 0x03000000).finish(), /bad-file: .*big-endian/],
    ["countless keys", header(0, 2n ** 63n).finish(), /bad-file: .*count of keys/],
    ["too many keys", header(0, 2 ** 40).finish(), /bad-file: .*1099511627776 keys/],
    ["too many tensors", header(1e6, 0).finish(), /truncated-file: .*1000000 tensors/],
    [
      "endless key",
      header(0, 1)
        .u64(2 ** 33)
        .raw(new Uint8Array(64))
        .finish(),
      /truncated-file/,
    ],
    ["unknown type", header(0, 1).string("k").u32(77).u64(0).finish(), /bad-file: .*key k .* 77/],
    ["same key twice", twice(), /bad-file: .*key k appears twice/],
    ["deep arrays", deepArray(), /bad-file: .*nests arrays too deeply/],
    [
      "endless array",
      header(0, 1)
        .string("k")
        .u32(9)
        .u32(8)
        .u64(2 ** 50)
        .finish(),
      /truncated-file/,
    ],
    [
      "many dimensions",
      header(1, 0).string("w").u32(9).raw(new Uint8Array(99)).finish(),
      /9 dimens/,
    ],
    ["huge shape", withTensor({ shape: [2 ** 31, 2 ** 31] }), /bad-file: .*impossible shape/],
    ["vast dimension", withTensor({ shape: [2 ** 40] }), /bad-file: .*exceeds/],
    ["empty shape", withTensor({ shape: [4, 0] }), /bad-file: .*impossible shape \[4, 0\]/],
    [
      "half a block",
      withTensor({ ggmlType: 8, shape: [33] }),
      /bad-file: .*rows of 33 .*32 of Q8_0/,
    ],
    ["odd offset", oddOffset(4), /bad-file: .*tensor w lies at offset 4/],
    ["far offset", oddOffset(2 ** 30), /truncated-file: .*tensor w/],
    ["impossible offset", oddOffset(2n ** 63n), /bad-file: .*impossible offset/],
    [
      "same tensor twice",
      writeGguf({ metadata: {}, tensors: [...tensors, ...tensors] }),
      /a appears twice/,
    ],
    ["zero alignment", writeGguf({ metadata: { "general.alignment": g.u32(0) } }), /alignment/],
    [
      "one part of many",
      writeGguf({ metadata: { "split.count": g.u32(3) } }),
      /not-found: .*part 1 of a model split into 3 parts/,
    ],
  ] as const)("is refused with its reason: %s", async ([, bytes, reason]) => {
    expect(await messageOf(bytes)).toMatch(reason);
  });

  function twice(): Uint8Array {
    const one = (out: ByteWriter) => out.string("k").u32(4).u32(1);
    return one(one(header(0, 2))).finish();
  }

  function deepArray(): Uint8Array {
    const out = header(0, 1).string("k").u32(9);
    for (let depth = 0; depth < 10; depth += 1) out.u32(9).u64(1);
    return out.finish();
  }

  function oddOffset(offset: number | bigint): Uint8Array {
    return header(1, 0).string("w").u32(1).u64(1).u32(0).u64(offset).align(32).u64(0).finish();
  }
});

test("block sizes agree with the bits per weight that ggml publishes", () => {
  for (const { name, blockWeights, blockBytes } of GGML_TYPES.values()) {
    const bits = (8 * blockBytes) / blockWeights;
    const named = /^(?:I?Q|TQ|F|BF|I|MXFP|NVFP)(\d+)/.exec(name)?.[1];
    expect(bits, name).toBeGreaterThanOrEqual(Number(named));
    expect(bits, name).toBeLessThan(Number(named) + 1.7);
  }
});
