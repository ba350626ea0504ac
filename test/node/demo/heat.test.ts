import { describe, expect, test } from "vitest";
import {
  CELL_HEIGHTS,
  CELL_SHAPES,
  type CellShape,
  pathOf,
} from "../../../demo/chat/cell-shapes.ts";
import { mixColors } from "../../../demo/chat/colors.ts";
import { describeCell, listLayers, planFrame, summarise } from "../../../demo/chat/heat.ts";
import type { ExpertMap } from "../../../src/index.ts";

function mapOf(
  states: readonly number[],
  uses: readonly number[],
  {
    below = [],
    prefetched = [],
    layerNumbers = [0, 1],
  }: Partial<Record<"below" | "prefetched" | "layerNumbers", readonly number[]>> = {},
): ExpertMap {
  return {
    layers: 2,
    layerNumbers,
    experts: 3,
    state: Uint8Array.from(states),
    below: Uint8Array.from(states, (_, index) => below[index] ?? 0),
    prefetched: Uint8Array.from(states, (_, index) => prefetched[index] ?? 0),
    uses: Uint16Array.from(uses),
  };
}

const MAP = mapOf([0, 1, 2, 2, 2, 0], [0, 0, 7, 1, 0, 0]);
/** Layer 0: RAM, disk, source. Layer 1: on the GPU and below it, brought ahead, arriving. */
const TIERS = mapOf([0, 0, 0, 2, 2, 1], [0, 1, 2, 3, 0, 0], {
  below: [2, 1, 0, 2, 1, 1],
  prefetched: [0, 0, 0, 0, 1, 1],
});

describe("the expert map", () => {
  test("shows where each expert is", () => {
    expect(planFrame(MAP).states).toEqual([
      "source",
      "arriving",
      "resident",
      "resident",
      "resident",
      "source",
    ]);
  });

  test("shows what arrived since it was drawn last", () => {
    const before = mapOf([0, 0, 2, 0, 2, 2], [0, 0, 0, 0, 0, 0]);

    expect(planFrame(MAP, before).states).toEqual([
      "source",
      "arriving",
      "resident",
      "arriving",
      "resident",
      "source",
    ]);
  });

  test("shows the fastest place of what is not on the GPU, and what was brought ahead", () => {
    expect(planFrame(TIERS).states).toEqual([
      "ram",
      "disk",
      "source",
      "resident",
      "prefetched",
      "arriving",
    ]);
  });

  test("does not compare maps of two models", () => {
    const other: ExpertMap = {
      layers: 1,
      layerNumbers: [0],
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

  test("calls layers by their numbers in a model whose other layers have no experts", () => {
    const frame = planFrame(
      mapOf([0, 1, 2, 2, 2, 0], [0, 0, 7, 1, 0, 0], { layerNumbers: [1, 3] }),
    );

    expect(listLayers(frame).map(({ layer }) => layer)).toEqual([1, 3]);
    expect(describeCell(frame, { layer: 1, expert: 0 }, "webgpu")).toBe(
      "Layer 3, expert 0: on the GPU, used once.",
    );
  });

  test("can be read as a table", () => {
    expect(listLayers(planFrame(MAP))).toEqual([
      { layer: 0, gpu: 1, ram: 0, disk: 0, source: 2, used: 1, busiest: { expert: 2, uses: 7 } },
      { layer: 1, gpu: 2, ram: 0, disk: 0, source: 1, used: 1, busiest: { expert: 0, uses: 1 } },
    ]);
    expect(listLayers(planFrame(TIERS))).toMatchObject([
      { gpu: 0, ram: 1, disk: 1, source: 1 },
      { gpu: 2, ram: 0, disk: 1, source: 0 },
    ]);
    expect(listLayers(planFrame(mapOf([0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0])))[0]).toMatchObject({
      gpu: 0,
      busiest: undefined,
    });
  });

  test("can be read as a sentence", () => {
    const frame = planFrame(MAP);

    expect(summarise(frame, "webgpu")).toBe(
      "3 of 6 experts on the GPU in 2 layers, 3 only at the source; 2 used so far.",
    );
    expect(describeCell(frame, { layer: 0, expert: 2 }, "webgpu")).toBe(
      "Layer 0, expert 2: on the GPU, used 7 times.",
    );
    expect(describeCell(frame, { layer: 1, expert: 0 }, "webgpu")).toBe(
      "Layer 1, expert 0: on the GPU, used once.",
    );
    expect(describeCell(frame, { layer: 0, expert: 1 }, "webgpu")).toBe(
      "Layer 0, expert 1: arriving, never used.",
    );
    expect(describeCell(frame, { layer: 9, expert: 9 }, "webgpu")).toBe("");

    const tiers = planFrame(TIERS);
    expect(summarise(tiers, "webgpu")).toBe(
      "2 of 6 experts on the GPU in 2 layers, 1 in RAM, 2 on disk, 1 only at the source; 3 used so far.",
    );
    expect(describeCell(tiers, { layer: 0, expert: 0 }, "webgpu")).toBe(
      "Layer 0, expert 0: in RAM, never used.",
    );
    expect(describeCell(tiers, { layer: 0, expert: 1 }, "webgpu")).toBe(
      "Layer 0, expert 1: on disk, used once.",
    );
    expect(describeCell(tiers, { layer: 0, expert: 2 }, "webgpu")).toBe(
      "Layer 0, expert 2: only at the source, used 2 times.",
    );
    expect(describeCell(tiers, { layer: 1, expert: 1 }, "webgpu")).toBe(
      "Layer 1, expert 1: on the GPU ahead of its use, never used.",
    );
  });
});

describe("the map under WebAssembly", () => {
  test("calls what it computes from ready, and what it makes that of packed", () => {
    const tiers = planFrame(TIERS);

    expect(summarise(tiers, "onnx")).toBe(
      "2 of 6 experts ready to compute in 2 layers, 1 packed in RAM, 2 on disk, 1 only at the source; 3 used so far.",
    );
    expect(describeCell(tiers, { layer: 0, expert: 0 }, "onnx")).toBe(
      "Layer 0, expert 0: packed in RAM, never used.",
    );
    expect(describeCell(tiers, { layer: 1, expert: 1 }, "onnx")).toBe(
      "Layer 1, expert 1: made ready ahead of its use, never used.",
    );
  });
});

describe("the shapes of cells", () => {
  /** Area of a shape, as a share of its cell. */
  const areaOf = (shape: CellShape) => {
    const areas = shape.map((corners) =>
      corners.reduce((sum, [x, y], index) => {
        const [nextX, nextY] = corners[(index + 1) % corners.length] ?? [0, 0];
        return sum + (x * nextY - nextX * y) / 2;
      }, 0),
    );
    return Math.abs(areas[0] ?? 0) - Math.abs(areas[1] ?? 0);
  };

  test("fill more of the cell the nearer the expert is to the GPU", () => {
    const { resident, prefetched, arriving, ram, disk, source } = CELL_SHAPES;
    const areas = [resident, prefetched, arriving, ram, disk, source].map(areaOf);

    expect(areas[0]).toBe(1);
    expect(areas).toEqual([...areas].sort((a, b) => b - a));
    expect(new Set(areas).size).toBe(areas.length);
  });

  test("are heights where cells are narrow, in the same order", () => {
    const { resident, ram, disk, source } = CELL_HEIGHTS;

    expect(resident).toBe(1);
    expect(resident > ram && ram > disk && disk > source).toBe(true);
  });

  test("lie within their cells", () => {
    for (const corner of Object.values(CELL_SHAPES).flat(2)) {
      for (const share of corner) expect(share >= 0 && share <= 1).toBe(true);
    }
  });

  test("are SVG paths for the legend", () => {
    expect(pathOf(CELL_SHAPES.arriving)).toBe("M0,0L100,100L0,100Z");
    expect(pathOf(CELL_SHAPES.prefetched).match(/Z/g)).toHaveLength(2);
  });
});

test("colours are mixed channel by channel", () => {
  expect(mixColors("#000000", "#ffffff", 0)).toBe("#000000");
  expect(mixColors("#000000", "#ff8000", 0.5)).toBe("#804000");
  expect(mixColors("#0a0b0c", "#0a0b0c", 0.3)).toBe("#0a0b0c");
});
