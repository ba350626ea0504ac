import { SluiceError } from "../../errors.ts";
import type { AdapterClass } from "../../gpu/adapter-class.ts";
import {
  candidates,
  type FamilyName,
  familyNames,
  needsSubgroups,
  type Sizes,
  type Variant,
  withLeastSubgroup,
} from "../../kernels/parts.ts";

/** One candidate's name for each family. */
export type VariantChoice = Readonly<Record<FamilyName, string>>;

/** What is known of the device that variants are chosen for. */
export interface TunedDevice {
  readonly adapterClass: AdapterClass;
  /** The least number of lanes of a subgroup; undefined where the kernels cannot use subgroups. */
  readonly leastSubgroup: number | undefined;
  /** Lanes that a workgroup may have. */
  readonly mostLanes: number;
}

/** Kinds of choices that exist in every family, and what stands for one that a family lacks. */
const KINDS = { serial: "serial", workgroup: "workgroup", subgroup: "workgroup" } as const;

/** Names that pin all families at once. */
export const variantKinds = Object.keys(KINDS) as (keyof typeof KINDS)[];

/**
 * What each class runs until something else was found to be faster on the adapter itself. Software adapters and NVIDIA's GPUs
 * were measured (`docs/measurements.md`): on the former a thread a row is several times as fast. The others follow from how
 * their hardware works: lanes share a row, by subgroups where those have 32 lanes or more, as a row has.
 */
const DEFAULT_KINDS: Readonly<Record<AdapterClass, keyof typeof KINDS>> = {
  software: "serial",
  nvidia: "subgroup",
  amd: "subgroup",
  apple: "subgroup",
  intel: "workgroup",
  qualcomm: "workgroup",
  arm: "workgroup",
  other: "workgroup",
};

/** A choice of one kind, as far as each family has it. */
export function choiceOfKind(kind: keyof typeof KINDS): VariantChoice {
  return byFamily((family) => (kind in candidates[family] ? kind : KINDS[kind]));
}

/** What an adapter runs without being timed. */
export function defaultChoice({ adapterClass, leastSubgroup }: TunedDevice): VariantChoice {
  const kind = DEFAULT_KINDS[adapterClass];
  const lacks = kind === "subgroup" && leastSubgroup === undefined;
  return choiceOfKind(lacks ? KINDS[kind] : kind);
}

/**
 * Names of a family's candidates that are worth timing on a device, in order of preference. On software adapters lanes
 * that share a row cost more than the row, by far; on GPUs a thread a row reads words that lie far apart. What a device
 * can do by subgroups is not timed without.
 */
export function rivalsOf(family: FamilyName, device: TunedDevice): string[] {
  const software = device.adapterClass === "software";
  const subgroups = !software && device.leastSubgroup !== undefined;
  const known: Readonly<Record<string, Sizes>> = candidates[family];
  return Object.entries(known)
    .filter(([name, choice]) => {
      if (lanesOf(choice) > device.mostLanes) return false;
      if (needsSubgroups(choice)) return subgroups;
      const twin = name.replace("workgroup", "subgroup");
      if (subgroups && twin !== name && twin in known) return false;
      return name.startsWith("serial") === software;
    })
    .map(([name]) => name);
}

/** A family's candidate. Throws "bad-input" for a name that it does not have. */
export function candidate(family: FamilyName, name: string): Sizes {
  const found = (candidates[family] as Readonly<Record<string, Sizes>>)[name];
  if (found) return found;
  const known = Object.keys(candidates[family]).join(", ");
  throw new SluiceError(
    "bad-input",
    `variants has "${name}" for ${family}; it must be one of ${known}.`,
  );
}

/** What programs are recorded with. Throws "missing-feature" for what the device cannot run. */
export function variantOf(
  choice: VariantChoice,
  { leastSubgroup, mostLanes }: Pick<TunedDevice, "leastSubgroup" | "mostLanes">,
): Variant {
  const entries = familyNames.map((family) => {
    const sizes = candidate(family, choice[family]);
    if (lanesOf(sizes) > mostLanes) {
      throw new SluiceError(
        "missing-feature",
        `variants has "${choice[family]}" for ${family}, whose workgroups have ${lanesOf(sizes)} lanes; this device allows ${mostLanes}. Choose another, or "auto".`,
      );
    }
    if (!needsSubgroups(sizes)) return [family, sizes];
    if (leastSubgroup === undefined) {
      throw new SluiceError(
        "missing-feature",
        `variants has "${choice[family]}" for ${family}, which needs subgroups as this device does not have them. Choose another, or "auto".`,
      );
    }
    return [family, withLeastSubgroup(sizes, leastSubgroup)];
  });
  return Object.fromEntries(entries) as Variant;
}

/** Lanes of a workgroup. */
function lanesOf({ constants }: Sizes): number {
  const { LANES = 1, ROWS = 1, GROUPS = 1, SPLITS = 1 } = constants;
  return LANES * ROWS * GROUPS * SPLITS;
}

/**
 * How a product orders the sum of a row. A token's results must not depend on how many tokens a pass has, so products of
 * one token and of several must order it alike.
 */
export function sumOrder(family: FamilyName, name: string): number | undefined {
  return candidate(family, name).constants.LANES;
}

/**
 * `choice` with a matrix and a batch that order sums alike. The batch follows the matrix, or the matrix the batch where
 * that alone is pinned.
 */
export function withOneOrder(
  choice: VariantChoice,
  pinned: Partial<VariantChoice>,
  device: TunedDevice,
): VariantChoice {
  const [leader, follower] =
    pinned.batch !== undefined && pinned.matrix === undefined
      ? (["batch", "matrix"] as const)
      : (["matrix", "batch"] as const);
  if (pinned[follower] !== undefined) return choice;
  const order = sumOrder(leader, choice[leader]);
  if (sumOrder(follower, choice[follower]) === order) return choice;
  const fitting = rivalsOf(follower, device).find((name) => sumOrder(follower, name) === order);
  return { ...choice, [follower]: fitting ?? choice[leader] };
}

/** An object with a value for each family. */
export function byFamily<Value>(
  of: (family: FamilyName) => Value,
): Readonly<Record<FamilyName, Value>> {
  const entries = familyNames.map((family) => [family, of(family)]);
  return Object.fromEntries(entries) as Record<FamilyName, Value>;
}
