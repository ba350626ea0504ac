import { readChoice } from "../flags.ts";
import type { Runtime } from "../job.ts";

/** Every place to run in, by the name that `--runtime` takes. Each is imported when it is used. */
export const runtimes = {
  chromium: async (...call) => (await import("./chromium.ts")).chromium(...call),
  firefox: async (...call) => (await import("./firefox.ts")).firefox(...call),
  dawn: async (job, hooks) => (await import("./dawn.ts")).dawn(job, hooks),
  onnx: async (...call) => (await import("./onnx.ts")).onnx(...call),
} as const satisfies Record<string, Runtime>;

/** A name that `--runtime` takes. */
export type RuntimeName = keyof typeof runtimes;

export const runtimeNames = Object.keys(runtimes) as RuntimeName[];

/** Throws "bad-input" for a name that is none. */
export function readRuntime(name: string): RuntimeName {
  return readChoice("--runtime", name, runtimeNames) as RuntimeName;
}
