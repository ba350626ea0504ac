import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished, vi } from "vitest";
import { runCli } from "../../../src/cli/main.ts";
import { THREAD_SCRIPT } from "../../helpers/node-threads.ts";

/** How a run of the command ended. */
export interface Run {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

const BIN = fileURLToPath(new URL("../../../src/cli/bin.mjs", import.meta.url));

/** Tests find and leave no tunings in the user's own folder. */
const CACHE = mkdtempSync(join(tmpdir(), "sluice-cache-"));
process.on("exit", () => rmSync(CACHE, { recursive: true, force: true }));

/** Runs the `sluice` command from source, with `env` over this process's own. */
export function runSluice(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Run> {
  return new Promise((resolve) => {
    const options = { env: { ...process.env, SLUICE_CACHE: CACHE, ...env } };
    execFile(process.execPath, [BIN, ...args], options, (error, stdout, stderr) => {
      const status = error ? (typeof error.code === "number" ? error.code : 1) : 0;
      resolve({ status, stdout, stderr });
    });
  });
}

/** Runs the command in this process, which takes no seconds to start; no page has its scripts then. */
export async function callSluice(args: readonly string[]): Promise<Run> {
  const texts = { stdout: "", stderr: "" };
  const spies = (["stdout", "stderr"] as const).map((name) =>
    vi.spyOn(process[name], "write").mockImplementation((text, ...rest) => {
      texts[name] += text;
      for (const callback of rest) if (typeof callback === "function") callback();
      return true;
    }),
  );
  try {
    const handle = () => {
      throw new Error("unreachable: no page is opened");
    };
    return {
      status: await runCli(args, { runner: "", worker: "", expertThread: THREAD_SCRIPT, handle }),
      ...texts,
    };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

/** Writes `bytes` to a file that the test's end removes, and returns its path. */
export async function temporaryFile(name: string, bytes: Uint8Array | string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-test-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, name);
  await writeFile(path, bytes);
  return path;
}
