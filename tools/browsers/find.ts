import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** Where one browser may be: names to look for on PATH, then full paths for each platform. */
export interface BrowserPlaces {
  readonly names: readonly string[];
  readonly paths: Partial<Record<NodeJS.Platform, readonly string[]>>;
}

/** Full path of the first executable among `places`, or undefined. */
export function findExecutable(places: BrowserPlaces): string | undefined {
  const suffix = process.platform === "win32" ? ".exe" : "";
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  const candidates = [
    ...places.names.flatMap((name) => folders.map((folder) => join(folder, name + suffix))),
    ...(places.paths[process.platform] ?? []),
  ];
  return candidates.find(isExecutable);
}

/** The folders in which Windows keeps programs, each joined with `path`. */
export function windowsPaths(path: string): string[] {
  const { PROGRAMFILES, LOCALAPPDATA } = process.env;
  const roots = [PROGRAMFILES, process.env["PROGRAMFILES(X86)"], LOCALAPPDATA];
  return roots.filter((root) => root !== undefined).map((root) => join(root, path));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
