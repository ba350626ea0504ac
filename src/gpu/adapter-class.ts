/** Kinds of adapters, each of which the same kernels suit. */
export type AdapterClass =
  | "software"
  | "nvidia"
  | "amd"
  | "intel"
  | "apple"
  | "qualcomm"
  | "arm"
  | "other";

/** Vendors as browsers name them, and what else native WebGPU may put into a name. */
const VENDORS: readonly (readonly [AdapterClass, RegExp])[] = [
  ["nvidia", /nvidia|geforce|quadro|tesla/i],
  ["amd", /\bamd\b|radeon|\bati\b/i],
  ["intel", /\bintel\b/i],
  ["apple", /\bapple\b/i],
  ["qualcomm", /qualcomm|adreno/i],
  ["arm", /\barm\b|mali|immortalis/i],
];

/**
 * The class of an adapter.
 * @param name vendor, architecture and description, as far as the browser tells
 * @param software whether it runs on the CPU
 */
export function classifyAdapter(name: string, software: boolean): AdapterClass {
  if (software) return "software";
  return VENDORS.find(([, pattern]) => pattern.test(name))?.[0] ?? "other";
}
