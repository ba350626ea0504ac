import { readdir, readFile } from "node:fs/promises";
import type { BrowserCommand } from "vitest/node";

declare module "vitest/browser" {
  interface BrowserCommands {
    /** Resident bytes of the browsers that the test run has started; 0 where there is no /proc. */
    browserBytes: () => Promise<number>;
  }
}

/** A process, as /proc tells of it. */
interface Process {
  readonly parent: number;
  readonly bytes: number;
}

const browserBytes: BrowserCommand<[]> = async () => {
  const processes = await listProcesses();
  const bytesBelow = (id: number): number =>
    [...processes]
      .filter(([, { parent }]) => parent === id)
      .reduce((sum, [child, { bytes }]) => sum + bytes + bytesBelow(child), 0);
  return bytesBelow(process.pid);
};

async function listProcesses(): Promise<ReadonlyMap<number, Process>> {
  const processes = new Map<number, Process>();
  const ids = (await readdir("/proc").catch(() => [])).map(Number).filter(Number.isInteger);
  for (const id of ids) {
    // One that has ended meanwhile has no file.
    const status = await readFile(`/proc/${id}/status`, "utf8").catch(() => "");
    const field = (name: string) =>
      Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0);
    processes.set(id, { parent: field("PPid"), bytes: 1024 * field("VmRSS") });
  }
  return processes;
}

/** For `test.browser.commands`: what pages may ask of the browser's memory. */
export const memoryCommands = { browserBytes };
