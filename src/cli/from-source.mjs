// Runs TypeScript from source: Vite compiles it and inlines WGSL.
import { fileURLToPath } from "node:url";
import { createServer } from "vite";

/** The repository. */
export const root = fileURLToPath(new URL("../..", import.meta.url));

/** What compiles it. The process must be ended by `process.exit`. */
export function openSource() {
  return createServer({
    root,
    configFile: false,
    appType: "custom",
    logLevel: "error",
    // Nothing is watched and no port is opened: who needs a server hands requests on.
    server: { middlewareMode: true, hmr: false, ws: false, watch: null },
    // Packages are served as they are, so no cache is written that two runs could fight over.
    optimizeDeps: { noDiscovery: true, include: [] },
  });
}
