import { describe, expect, test } from "vitest";
import { choiceOfKind, type TunedDevice } from "../../../../src/engine/tuning/choices.ts";
import { KeptTunings, MOST_LOADS } from "../../../../src/engine/tuning/kept.ts";
import { planVariants } from "../../../../src/engine/tuning/plan.ts";
import { readWantedVariants } from "../../../../src/engine/tuning/wanted.ts";
import { familyNames } from "../../../../src/kernels/parts.ts";
import type { LoadOptions } from "../../../../src/rpc/api.ts";
import type { TextFile } from "../../../../src/storage/text-file.ts";

const DEVICE: TunedDevice = { adapterClass: "software", leastSubgroup: 4, mostLanes: 256 };
const KEY = "an adapter and a model";

function memoryFile(): TextFile {
  let text: string | undefined;
  return {
    read: async () => text,
    async write(written) {
      text = written;
    },
    async remove() {
      text = undefined;
    },
  };
}

function plan(options: LoadOptions, tunings: KeptTunings, device = DEVICE) {
  return planVariants({
    wanted: readWantedVariants(options),
    device,
    tunings,
    key: KEY,
    tuningMs: 2000,
  });
}

/** Something that timing may find. */
const FOUND = {
  choice: { ...choiceOfKind("serial"), matrix: "serial-64", batch: "serial-64" },
  medians: { matrix: { serial: 2, "serial-64": 1 } },
};

describe("a plan of variants", () => {
  test("leaves all families open on a first visit", async () => {
    const { open, choice, report } = await plan({}, new KeptTunings(memoryFile()));

    expect(open).toEqual(familyNames);
    expect(choice).toEqual(choiceOfKind("serial"));
    expect(report.matrix).toMatchObject({ chosen: "serial", source: "default", medianMs: {} });
  });

  test("says what was found, and finds it kept the next time", async () => {
    const file = memoryFile();
    const first = await plan({}, new KeptTunings(file));
    const settled = await first.settle(FOUND);
    const next = await plan({}, new KeptTunings(file));

    expect(settled.report.matrix).toMatchObject({ chosen: "serial-64", source: "tuned" });
    expect(settled.report.norm).toMatchObject({ chosen: "serial", source: "default" });
    expect(next.choice).toEqual(settled.choice);
    expect(next.report.matrix).toEqual({ ...settled.report.matrix, source: "kept" });
  });

  test("leaves to the next loads what there was no time for, but not for ever", async () => {
    const file = memoryFile();
    let next = await plan({}, new KeptTunings(file));
    await next.settle(FOUND);
    next = await plan({}, new KeptTunings(file));
    expect(next.open).toEqual(familyNames.filter((family) => family !== "matrix"));

    const experts = { serial: 3, "serial-4": 2 };
    const choice = { ...next.choice, experts: "serial-4" };
    const settled = await next.settle({ choice, medians: { experts, norm: {} } });
    next = await plan({}, new KeptTunings(file));
    expect(next.choice).toEqual(choice);
    expect(next.report.matrix.medianMs).toEqual(FOUND.medians.matrix);
    expect(next.report.experts.medianMs).toEqual(experts);
    expect(settled.report.norm.source).toBe("default");
    expect(next.open).not.toContain("norm");
    expect(next.open).toContain("router");

    for (let load = 2; load < MOST_LOADS; load++) {
      expect(next.open).not.toEqual([]);
      await next.settle({ choice, medians: {} });
      next = await plan({}, new KeptTunings(file));
    }
    expect(next.open).toEqual([]);
  });

  test("has nothing open where nothing can be kept or may be timed", async () => {
    expect((await plan({}, new KeptTunings(undefined))).open).toEqual([]);
    expect((await plan({ autotune: false }, new KeptTunings(memoryFile()))).open).toEqual([]);
    expect((await plan({ variants: "serial" }, new KeptTunings(memoryFile()))).open).toEqual([]);
  });

  test("without timing is the default, whatever was found before", async () => {
    const tunings = new KeptTunings(memoryFile());
    await (await plan({}, tunings)).settle(FOUND);

    expect((await plan({ autotune: false }, tunings)).choice).toEqual(choiceOfKind("serial"));
  });

  test("keeps what is pinned, and a batch that goes with its matrix", async () => {
    const variants = { matrix: "workgroup-8" };
    const pinned = await plan({ variants }, new KeptTunings(memoryFile()));

    expect(pinned.choice).toMatchObject({ matrix: "workgroup-8", experts: "serial" });
    expect(pinned.report.matrix.source).toBe("pinned");
    expect(pinned.variant.batch.constants.LANES).toBe(8);
    expect(pinned.open).not.toContain("matrix");
  });

  test("is refused where the device lacks what is pinned", async () => {
    const device: TunedDevice = {
      adapterClass: "software",
      leastSubgroup: undefined,
      mostLanes: 256,
    };
    const refused = plan({ variants: "subgroup" }, new KeptTunings(undefined), device);

    await expect(refused).rejects.toMatchObject({ code: "missing-feature" });
  });
});
