import { describe, expect, test } from "vitest";
import {
  choiceOfKind,
  defaultChoice,
  rivalsOf,
  sumOrder,
  type TunedDevice,
  variantKinds,
  variantOf,
  withOneOrder,
} from "../../../../src/engine/tuning/choices.ts";
import { openFamilies, readWantedVariants } from "../../../../src/engine/tuning/wanted.ts";
import { classifyAdapter } from "../../../../src/gpu/adapter-class.ts";
import {
  candidates,
  familyNames,
  needsSubgroups,
  subgroupVariant,
  variants,
} from "../../../../src/kernels/parts.ts";
import type { LoadOptions } from "../../../../src/rpc/api.ts";

const SOFTWARE: TunedDevice = { adapterClass: "software", leastSubgroup: 4, mostLanes: 256 };
const NVIDIA: TunedDevice = { adapterClass: "nvidia", leastSubgroup: 32, mostLanes: 256 };
const OLD_NVIDIA: TunedDevice = {
  adapterClass: "nvidia",
  leastSubgroup: undefined,
  mostLanes: 256,
};

describe("the candidates of a family", () => {
  test("have lanes in powers of two, and are tried where a workgroup may have them", () => {
    const wide: TunedDevice = { ...NVIDIA, mostLanes: 1024 };
    for (const family of familyNames) {
      const fitting = [...rivalsOf(family, NVIDIA), ...rivalsOf(family, SOFTWARE)];
      for (const [name, { constants }] of Object.entries(candidates[family])) {
        const { LANES, ROWS = 1, SPLITS = 1 } = constants as Record<string, number>;
        expect(Number.isInteger(Math.log2(LANES!))).toBe(true);
        if (fitting.includes(name)) expect(LANES! * ROWS * SPLITS).toBeLessThanOrEqual(256);
      }
    }
    expect(rivalsOf("router", NVIDIA)).not.toContain("workgroup-1024");
    expect(rivalsOf("router", wide)).toContain("workgroup-1024");
    const choice = { ...choiceOfKind("workgroup"), router: "workgroup-1024" };
    expect(variantOf(choice, wide).router.constants.LANES).toBe(1024);
    expect(() => variantOf(choice, NVIDIA)).toThrow(/this device allows 256/);
  });

  test("are tried by kind of adapter, subgroups only where there are any", () => {
    for (const family of familyNames) {
      expect(rivalsOf(family, OLD_NVIDIA).filter((name) => name.startsWith("subgroup"))).toEqual(
        [],
      );
    }
    expect(rivalsOf("matrix", SOFTWARE).every((name) => name.startsWith("serial"))).toBe(true);
    expect(rivalsOf("matrix", NVIDIA)).toContain("subgroup-8");
    expect(rivalsOf("matrix", NVIDIA)).not.toContain("serial-4");
  });
});

describe("the default of an adapter", () => {
  test("is of the class that its name tells", () => {
    expect(classifyAdapter("google swiftshader", true)).toBe("software");
    expect(classifyAdapter("nvidia hopper NVIDIA H100", false)).toBe("nvidia");
    expect(classifyAdapter("amd rdna-3", false)).toBe("amd");
    expect(classifyAdapter("intel xe-2lpg", false)).toBe("intel");
    expect(classifyAdapter("apple metal-3", false)).toBe("apple");
    expect(classifyAdapter("qualcomm adreno-7xx", false)).toBe("qualcomm");
    expect(classifyAdapter("arm valhall", false)).toBe("arm");
    expect(classifyAdapter("unnamed adapter", false)).toBe("other");
  });

  test("needs no subgroups where there are none", () => {
    expect(defaultChoice(SOFTWARE)).toEqual(choiceOfKind("serial"));
    expect(defaultChoice(NVIDIA)).toEqual(choiceOfKind("subgroup"));
    expect(defaultChoice(OLD_NVIDIA)).toEqual(choiceOfKind("workgroup"));
  });

  test("orders the sums of one and of several tokens alike", () => {
    for (const kind of variantKinds) {
      const choice = choiceOfKind(kind);
      expect(sumOrder("batch", choice.batch)).toBe(sumOrder("matrix", choice.matrix));
    }
  });
});

describe("a kind of variant", () => {
  test("is what its name stands for in the tests of the kernels", () => {
    expect(variantOf(choiceOfKind("serial"), OLD_NVIDIA)).toEqual(variants.serial);
    expect(variantOf(choiceOfKind("workgroup"), OLD_NVIDIA)).toEqual(variants.workgroup);
    const { matrix, columns } = variantOf(choiceOfKind("subgroup"), {
      ...NVIDIA,
      leastSubgroup: 16,
    });
    expect(needsSubgroups(matrix)).toBe(true);
    expect(matrix.constants).toEqual({
      ...subgroupVariant.matrix.constants,
      LEAST_SUBGROUP: 16,
    });
    expect(columns).toEqual(subgroupVariant.columns);
  });

  test("that the device cannot run is refused", () => {
    expect(() => variantOf(choiceOfKind("subgroup"), OLD_NVIDIA)).toThrow(/needs subgroups/);
  });
});

describe("a batch", () => {
  const choice = choiceOfKind("serial");

  test("follows its matrix", () => {
    const chosen = withOneOrder({ ...choice, matrix: "subgroup-8" }, {}, NVIDIA);

    expect(sumOrder("batch", chosen.batch)).toBe(8);
  });

  test("leads where it is pinned alone", () => {
    const pinned = { batch: "workgroup-64" };
    const chosen = withOneOrder({ ...choice, ...pinned }, pinned, NVIDIA);

    expect(chosen.batch).toBe("workgroup-64");
    expect(sumOrder("matrix", chosen.matrix)).toBe(64);
  });

  test("is left alone where both are pinned", () => {
    const pinned = { matrix: "serial", batch: "workgroup" };

    expect(withOneOrder({ ...choice, ...pinned }, pinned, NVIDIA)).toMatchObject(pinned);
  });
});

describe("the option variants", () => {
  test("pins all, some or nothing", () => {
    expect(openFamilies(readWantedVariants({}))).toEqual(familyNames);
    expect(openFamilies(readWantedVariants({ variants: "workgroup" }))).toEqual([]);
    const some = readWantedVariants({ variants: { matrix: "serial-4", router: "workgroup" } });
    expect(openFamilies(some)).toHaveLength(familyNames.length - 2);
  });

  test("times nothing where a kind is pinned or it is not wanted", () => {
    expect(readWantedVariants({ variants: "serial" }).autotune).toBe(false);
    expect(readWantedVariants({ autotune: false }).autotune).toBe(false);
    expect(readWantedVariants({}).autotune).toBe(true);
  });

  test.for<[unknown, RegExp]>([
    ["fast", /auto, serial, workgroup, subgroup/],
    [{ matrices: "serial" }, /matrix, batch, experts/],
    [{ matrix: "fast" }, /serial, serial-4/],
    [{ attention: "serial-4" }, /for attention/],
  ])("is refused with what there is: %o", ([variants, sentence]) => {
    const read = () => readWantedVariants({ variants } as LoadOptions);

    expect(read).toThrow(expect.objectContaining({ code: "bad-input" }));
    expect(read).toThrow(sentence);
  });
});
