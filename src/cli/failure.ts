import { CommanderError } from "commander";
import { SluiceError } from "../errors.ts";

/** How a command ends that could not do its work. */
export interface Failure {
  readonly status: number;
  /** For standard error. */
  readonly text: string;
}

/** Bad input and every other failure that has a code: one line, status 2. A bug: its stack, status 1. */
export function explainFailure(error: unknown): Failure {
  if (error instanceof SluiceError) return coded(error.code, error.message);
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return { status: 0, text: "" };
    return coded("bad-input", error.message.replace(/^error: /, ""));
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { status: 1, text: `sluice: this is a bug: ${text}\n` };
}

function coded(code: string, message: string): Failure {
  return { status: 2, text: `sluice: ${code}: ${message.trim().replace(/\s*\n\s*/g, " ")}\n` };
}
