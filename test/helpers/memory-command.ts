import { readdir, readFile } from "node:fs/promises";
import type { BrowserCommand } from "vitest/node";

declare module "vitest/browser" {
  interface BrowserCommands {
    /** Resident bytes of the browser that the page is in; 0 where there is no /proc. */
    browserBytes: () => Promise<number>;
  }
}

/** A process, as /proc tells of it. */
interface Process {
  readonly name: string;
  readonly parent: number;
  readonly bytes: number;
}

/** A browser stays open while the next project's runs: a project's is told by the name of its first process. */
const browserBytes: BrowserCommand<[]> = async ({ project }) => {
  const processes = await listProcesses();
  const childrenOf = (id: number) => [...processes].filter(([, { parent }]) => parent === id);
  const bytesBelow = (id: number): number =>
    childrenOf(id).reduce((sum, [child, { bytes }]) => sum + bytes + bytesBelow(child), 0);
  const own = project.name.startsWith("firefox") ? "firefox" : "chrom";
  return childrenOf(process.pid)
    .filter(([, { name }]) => name.includes(own))
    .reduce((sum, [id, { bytes }]) => sum + bytes + bytesBelow(id), 0);
};

async function listProcesses(): Promise<ReadonlyMap<number, Process>> {
  const processes = new Map<number, Process>();
  const ids = (await readdir("/proc").catch(() => [])).map(Number).filter(Number.isInteger);
  for (const id of ids) {
    // One that has ended meanwhile has no file.
    const status = await readFile(`/proc/${id}/status`, "utf8").catch(() => "");
    const field = (name: string) => new RegExp(`^${name}:\\s+(.*)$`, "m").exec(status)?.[1] ?? "";
    processes.set(id, {
      name: field("Name"),
      parent: Number.parseInt(field("PPid"), 10),
      bytes: 1024 * (Number.parseInt(field("VmRSS"), 10) || 0),
    });
  }
  return processes;
}

/** For `test.browser.commands`: what pages may ask of the browser's memory. */
export const memoryCommands = { browserBytes };
