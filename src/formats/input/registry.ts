import { f16 } from "./f16.ts";
import type { BlockUnit, InputFormat, UnitDevice } from "./format.ts";
import { int8 } from "./int8.ts";

/**
 * What products of weights read of their input, by name: its numbers as they are (`exact`), or blocks of them, where the
 * matrix's format has blocks of integers. To add one: write its files and name it here.
 */
export const accuracies = {
  exact: undefined,
  int8,
  f16,
} as const satisfies Record<string, InputFormat | undefined>;

/** The name of what products read. */
export type Accuracy = keyof typeof accuracies;

/** Unless asked for: nothing is lost. */
export const DEFAULT_ACCURACY: Accuracy = "exact";

/** The best unit that `device` can read blocks by; undefined where it can none. */
export function unitOn({ units }: InputFormat, device: UnitDevice): BlockUnit | undefined {
  return Object.values(units).find(({ needs }) => needs === undefined || device[needs]);
}

/** What `device` computes where `wanted` was asked for: exactly where it has no unit for it. */
export function accuracyOn(wanted: Accuracy, device: UnitDevice): Accuracy {
  const format: InputFormat | undefined = accuracies[wanted];
  return format && unitOn(format, device) ? wanted : DEFAULT_ACCURACY;
}
