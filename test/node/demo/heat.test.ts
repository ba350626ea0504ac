import { describe, expect, test } from "vitest";
import { mixColors } from "../../../demo/chat/colors.ts";
import { describeCell, listLayers, planFrame, summarise } from "../../../demo/chat/heat.ts";
import type { ExpertMap } from "../../../src/index.ts";

function mapOf(states: readonly number[], uses: readonly number[]): ExpertMap {
  return {
    layers: 2,
    experts: 3,
    state: Uint8Array.from(states),
    below: new Uint8Array(states.length),
    prefetched: new Uint8Array(states.length),
    uses: Uint16Array.from(uses),
  };
}

const MAP = mapOf([0, 1, 2, 2, 2, 0], [0, 0, 7, 1, 0, 0]);

describe("the expert map", () => {
  test("shows where each expert is", () => {
    expect(planFrame(MAP).states).toEqual([
      "absent",
      "arriving",
      "resident",
      "resident",
      "resident",
      "absent",
    ]);
  });

  test("shows what arrived since it was drawn last", () => {
    const before = mapOf([0, 0, 2, 0, 2, 2], [0, 0, 0, 0, 0, 0]);

    expect(planFrame(MAP, before).states).toEqual([
      "absent",
      "arriving",
      "resident",
      "arriving",
      "resident",
      "absent",
    ]);
  });

  test("does not compare maps of two models", () => {
    const other: ExpertMap = {
      layers: 1,
      experts: 1,
      state: new Uint8Array(1),
      below: new Uint8Array(1),
      prefetched: new Uint8Array(1),
      uses: new Uint16Array(1),
    };

    expect(planFrame(MAP, other)).toEqual(planFrame(MAP));
  });

  test("is warm where experts are used, by the square root", () => {
    expect([...planFrame(MAP).warmth]).toEqual([0, 0, 1, Math.fround(Math.sqrt(1 / 7)), 0, 0]);
    expect([...planFrame(mapOf([2, 2, 2, 2, 2, 2], [0, 0, 0, 0, 0, 0])).warmth]).toEqual([
      0, 0, 0, 0, 0, 0,
    ]);
  });

  test("can be read as a table", () => {
    expect(listLayers(planFrame(MAP))).toEqual([
      { layer: 0, resident: 1, used: 1, busiest: { expert: 2, uses: 7 } },
      { layer: 1, resident: 2, used: 1, busiest: { expert: 0, uses: 1 } },
    ]);
    expect(listLayers(planFrame(mapOf([0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0])))[0]).toMatchObject({
      resident: 0,
      busiest: undefined,
    });
  });

  test("can be read as a sentence", () => {
    const frame = planFrame(MAP);

    expect(summarise(frame)).toBe("3 of 6 experts on the GPU in 2 layers; 2 used so far.");
    expect(describeCell(frame, 0, 2)).toBe("Layer 0, expert 2: on the GPU, used 7 times.");
    expect(describeCell(frame, 1, 0)).toBe("Layer 1, expert 0: on the GPU, used once.");
    expect(describeCell(frame, 0, 1)).toBe("Layer 0, expert 1: arriving, never used.");
    expect(describeCell(frame, 9, 9)).toBe("");
  });
});

test("colours are mixed channel by channel", () => {
  expect(mixColors("#000000", "#ffffff", 0)).toBe("#000000");
  expect(mixColors("#000000", "#ff8000", 0.5)).toBe("#804000");
  expect(mixColors("#0a0b0c", "#0a0b0c", 0.3)).toBe("#0a0b0c");
});
