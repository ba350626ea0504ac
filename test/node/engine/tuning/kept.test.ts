import { describe, expect, test } from "vitest";
import { choiceOfKind } from "../../../../src/engine/tuning/choices.ts";
import { KeptTunings, type Tuning } from "../../../../src/engine/tuning/kept.ts";
import type { TextFile } from "../../../../src/storage/text-file.ts";

/** A file in memory, shared by all who have it. */
function memoryFile(text?: string): TextFile & { text: string | undefined } {
  return {
    text,
    async read() {
      return this.text;
    },
    async write(text) {
      this.text = text;
    },
    async remove() {
      this.text = undefined;
    },
  };
}

const BROKEN: TextFile = {
  read: () => Promise.reject(new Error("no storage")),
  write: () => Promise.reject(new Error("no storage")),
  remove: () => Promise.reject(new Error("no storage")),
};

function tuning(atMs: number, kind: "serial" | "workgroup" = "serial"): Tuning {
  return { choice: choiceOfKind(kind), medians: { matrix: { serial: 1.5 } }, atMs, loads: 1 };
}

describe("tunings", () => {
  test("are found again by whoever opens the file", async () => {
    const file = memoryFile();
    await new KeptTunings(file).keep("a", tuning(1));

    expect(await new KeptTunings(file).find("a")).toEqual(tuning(1));
    expect(await new KeptTunings(file).find("b")).toBeUndefined();
  });

  test("of another tab that was first are taken over", async () => {
    const file = memoryFile();
    const [first, second] = [new KeptTunings(file), new KeptTunings(file)];
    await first.keep("a", tuning(1, "serial"));

    expect(await second.keep("a", tuning(2, "workgroup"))).toEqual(tuning(1, "serial"));
    expect(await second.find("a")).toEqual(tuning(1, "serial"));
  });

  test("are remembered where nothing can be kept", async () => {
    const tunings = new KeptTunings(BROKEN);

    expect(await tunings.find("a")).toBeUndefined();
    expect(await tunings.keep("a", tuning(1))).toEqual(tuning(1));
    expect(await tunings.find("a")).toEqual(tuning(1));
  });

  test("that found nothing are remembered and not kept", async () => {
    const file = memoryFile();
    const tunings = new KeptTunings(file);
    const nothing = { ...tuning(1), medians: {} };
    await tunings.keep("a", nothing);

    expect(await tunings.find("a")).toEqual(nothing);
    expect(await new KeptTunings(file).find("a")).toBeUndefined();
  });

  test("are gone when they are cleared, and whoever clears is told of a failure", async () => {
    const file = memoryFile();
    const tunings = new KeptTunings(file);
    await tunings.keep("a", tuning(1));
    await tunings.clear();

    expect(await tunings.find("a")).toBeUndefined();
    expect(file.text).toBeUndefined();
    await expect(new KeptTunings(BROKEN).clear()).rejects.toThrow("no storage");
  });

  test("are kept up to a number, the newest", async () => {
    const file = memoryFile();
    const tunings = new KeptTunings(file);
    for (let index = 0; index < 70; index++) await tunings.keep(`model ${index}`, tuning(index));
    const { tunings: kept } = JSON.parse(file.text!);

    expect(Object.keys(kept)).toHaveLength(64);
    expect(Object.keys(kept)).toContain("model 69");
    expect(Object.keys(kept)).not.toContain("model 0");
  });

  test.for<[string, string]>([
    ["no JSON", "{"],
    ["another version", JSON.stringify({ version: 1, tunings: { a: tuning(1) } })],
    ["no tunings", JSON.stringify({ version: 1 })],
    ["nothing", "null"],
    ["a tuning without a choice", JSON.stringify({ version: 2, tunings: { a: { atMs: 1 } } })],
    [
      "a candidate that is not there any more",
      JSON.stringify({
        version: 2,
        tunings: { a: { ...tuning(1), choice: { ...choiceOfKind("serial"), matrix: "gone" } } },
      }),
    ],
    [
      "a candidate that every object has",
      JSON.stringify({
        version: 2,
        tunings: { a: { ...tuning(1), choice: { ...choiceOfKind("serial"), matrix: "toString" } } },
      }),
    ],
  ])("in a file with %s are none, and it is written anew", async ([, text]) => {
    const tunings = new KeptTunings(memoryFile(text));

    expect(await tunings.find("a")).toBeUndefined();
    expect(await tunings.keep("a", tuning(3))).toEqual(tuning(3));
  });
});
