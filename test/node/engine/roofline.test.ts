import { describe, expect, test } from "vitest";
import {
  floorOf,
  highestOf,
  type ProfiledStep,
  rowsOf,
  totalWork,
} from "../../../src/engine/roofline.ts";

/** A device that moves 1 GB, computes 2 billion multiply-adds and starts 10,000 dispatches a second. */
const CEILINGS = {
  copyBytesPerSecond: 1e9,
  multiplyAddsPerSecond: 2e9,
  dispatchMicroseconds: 100,
  readbackMilliseconds: 1,
  uploadBytesPerSecond: 1e9,
};

const step = (
  kernel: string,
  layer: number | undefined,
  microseconds: number,
  work: ProfiledStep["work"],
): ProfiledStep => ({ kernel, layer, microseconds, work });

describe("floors", () => {
  test("are a time for each ceiling", () => {
    expect(floorOf({ bytes: 5e6, multiplyAdds: 4e6 }, 10, CEILINGS)).toEqual({
      bytesMs: 5,
      multiplyAddsMs: 2,
      dispatchesMs: 1,
    });
  });

  test.for([
    [{ bytesMs: 3, multiplyAddsMs: 2, dispatchesMs: 1 }, "bytes", 3],
    [{ bytesMs: 1, multiplyAddsMs: 2, dispatchesMs: 1 }, "multiply-adds", 2],
    [{ bytesMs: 1, multiplyAddsMs: 2, dispatchesMs: 4 }, "dispatches", 4],
    [{ bytesMs: 0, multiplyAddsMs: 0, dispatchesMs: 0 }, "dispatches", 0],
  ] as const)("the highest of %o bounds", ([floor, boundBy, ms]) => {
    expect(highestOf(floor)).toEqual({ boundBy, ms });
  });
});

describe("rows", () => {
  test("join a kernel's dispatches in a layer, and keep layers apart", () => {
    const steps = [
      step("embed", undefined, 100, { bytes: 0, multiplyAdds: 0 }),
      step("matvec", 0, 1000, { bytes: 4e5, multiplyAdds: 1e6 }),
      step("matvec", 0, 1000, { bytes: 6e5, multiplyAdds: 1e6 }),
      step("matvec", 1, 8000, { bytes: 4e6, multiplyAdds: 1e6 }),
    ];

    const [embed, first, second, ...others] = rowsOf(steps, CEILINGS);

    expect(embed).toEqual({
      ...{ kernel: "embed", count: 1, microseconds: 100, bytes: 0, multiplyAdds: 0 },
      ...{ boundBy: "dispatches", ofCeiling: 1 },
    });
    expect(first).toEqual({
      ...{ kernel: "matvec", layer: 0, count: 2, microseconds: 2000 },
      ...{ bytes: 1e6, multiplyAdds: 2e6, boundBy: "bytes", ofCeiling: 0.5 },
    });
    expect(second).toMatchObject({ layer: 1, boundBy: "bytes", ofCeiling: 0.5 });
    expect(others).toEqual([]);
  });

  test("of kernels that do not say what they do are bound by their dispatches", () => {
    const [row] = rowsOf([step("new", 3, 400, undefined)], CEILINGS);

    expect(row).toMatchObject({ bytes: 0, multiplyAdds: 0, boundBy: "dispatches" });
    expect(row!.ofCeiling).toBeCloseTo(0.25);
  });

  test("that took no time tell nothing", () => {
    const [row] = rowsOf([step("idle", 0, 0, { bytes: 1, multiplyAdds: 1 })], CEILINGS);

    expect(row!.ofCeiling).toBe(0);
  });

  test("add up to the work of all", () => {
    const work = totalWork([
      { work: { bytes: 1, multiplyAdds: 2 } },
      { work: undefined },
      { work: { bytes: 3, multiplyAdds: 4 } },
    ]);

    expect(work).toEqual({ bytes: 4, multiplyAdds: 6 });
  });
});
