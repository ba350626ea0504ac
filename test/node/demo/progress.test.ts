import { describe, expect, test } from "vitest";
import {
  addReport,
  type LoadReports,
  listSteps,
  stepFraction,
} from "../../../demo/chat/progress.ts";
import type { LoadProgress } from "../../../src/index.ts";

function reports(...list: readonly (readonly [LoadProgress["phase"], number, number])[]) {
  return list.reduce<LoadReports>(
    (sum, [phase, loadedBytes, totalBytes]) => addReport(sum, { phase, loadedBytes, totalBytes }),
    [],
  );
}

/** Each step in a line: `Weights running 1 MB`. */
function lines(of: LoadReports): readonly string[] {
  return listSteps(of).map(({ label, state, bytes }) =>
    `${label} ${state} ${bytes}`.trim().replaceAll("\u00a0", " "),
  );
}

describe("the steps of loading", () => {
  test("all wait before the first report", () => {
    const waiting = ["Header waiting", "Weights waiting", "Pipelines waiting", "Experts waiting"];

    expect(lines([])).toEqual(waiting);
    expect(lines(reports(["device", 0, 0]))).toEqual(waiting);
  });

  test("show the bytes of the one that runs", () => {
    const list = reports(["header", 0, 0], ["weights", 1e6, 4e6], ["weights", 2e6, 4e6]);

    expect(lines(list)).toEqual([
      "Header done",
      "Weights running 2.00 MB of 4.00 MB",
      "Pipelines waiting",
      "Experts waiting",
    ]);
    expect(stepFraction(list)).toBe(0.5);
  });

  test("are done when the model is ready, and go on while experts arrive", () => {
    const ready = reports(["header", 0, 0], ["weights", 4e6, 4e6], ["pipelines", 4e6, 4e6]);
    const all = [...ready, { phase: "ready", loadedBytes: 4e6, totalBytes: 4e6 } as const];

    expect(lines(all).at(-1)).toBe("Experts done");
    expect(stepFraction(all)).toBe(1);
    const filling = addReport(all, { phase: "experts", loadedBytes: 3e6, totalBytes: 9e6 });
    expect(lines(filling).slice(-2)).toEqual([
      "Pipelines done",
      "Experts running 3.00 MB of 9.00 MB",
    ]);
    expect(stepFraction(filling)).toBeCloseTo(1 / 3);
  });

  test("have no fraction where there is nothing to count", () => {
    expect(stepFraction([])).toBeUndefined();
    expect(stepFraction(reports(["header", 0, 0]))).toBeUndefined();
    expect(stepFraction(reports(["pipelines", 4e6, 4e6]))).toBeUndefined();
  });
});
