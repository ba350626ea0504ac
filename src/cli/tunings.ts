import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { SluiceError } from "../errors.ts";
import type { TextFile } from "../storage/text-file.ts";

/**
 * Where the command keeps which kernel variants are fastest, for every runtime: a browser that it starts forgets its own
 * storage. `SLUICE_CACHE` names another folder than the user's cache.
 */
export function tuningsFile(): TextFile {
  const path = join(cacheFolder(), "variants.json");
  return {
    async read() {
      try {
        return await readFile(path, "utf8");
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    },
    async write(text) {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text);
    },
    remove: () => rm(path, { force: true }),
  };
}

/** Forgets what was found: `--clear-tuning`. Throws "bad-input" where the file does not go away. */
export async function clearTunings(): Promise<void> {
  try {
    await tuningsFile().remove();
  } catch (cause) {
    throw new SluiceError(
      "bad-input",
      `--clear-tuning: the file in ${cacheFolder()} cannot be removed. Remove it by hand, or name another folder in SLUICE_CACHE.`,
      { cause },
    );
  }
}

function cacheFolder(): string {
  const { SLUICE_CACHE, XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  if (SLUICE_CACHE) return SLUICE_CACHE;
  const home = homedir();
  switch (process.platform) {
    case "win32":
      return join(LOCALAPPDATA ?? join(home, "AppData", "Local"), "sluice");
    case "darwin":
      return join(home, "Library", "Caches", "sluice");
    default:
      return join(XDG_CACHE_HOME || join(home, ".cache"), "sluice");
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
