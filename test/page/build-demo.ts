import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    /** The folder with the built demo. */
    demoFolder: string;
  }
}

/** Builds the demo as `npm run build:demo` does, once for all tests; what is returned removes it. */
export default async function buildDemo(project: TestProject): Promise<() => Promise<void>> {
  const outDir = await mkdtemp(join(tmpdir(), "sluice-page-"));
  await build({
    configFile: fileURLToPath(new URL("../../vite.config.ts", import.meta.url)),
    mode: "demo",
    logLevel: "error",
    build: { outDir },
  });
  project.provide("demoFolder", outDir);
  return () => rm(outDir, { recursive: true });
}
