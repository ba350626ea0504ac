import { existsSync, readdirSync } from "node:fs";
import { SluiceError } from "../../errors.ts";

/** The path of a browser that is there. Throws "not-found" with the sentence that the search left, or for a wrong path. */
export function expectBrowser(found: string, missing: string): string {
  if (found === missing) throw new SluiceError("not-found", `${capitalised(missing)}.`);
  if (!existsSync(found)) throw new SluiceError("not-found", `There is no browser at ${found}.`);
  return found;
}

/** Imports an npm package that only some runtimes need. Throws "not-found" when it is not installed. */
export async function importTool<Module>(
  name: string,
  load: () => Promise<Module>,
): Promise<Module> {
  try {
    return await load();
  } catch (cause) {
    if (!isMissing(cause)) throw cause;
    throw new SluiceError(
      "not-found",
      `This runtime needs the npm package ${name}, which is not installed: npm install ${name}.`,
      { cause },
    );
  }
}

/** Whether this machine seems to have a GPU that Vulkan drives. Elsewhere than on Linux nobody asks. */
export function hasGpu(): boolean {
  if (process.platform !== "linux") return true;
  return listing("/dev/dri").some((name) => name.startsWith("renderD")) || nvidiaOrWsl();
}

function nvidiaOrWsl(): boolean {
  return existsSync("/dev/nvidia0") || existsSync("/dev/dxg");
}

function listing(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND";
}

function capitalised(sentence: string): string {
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}
