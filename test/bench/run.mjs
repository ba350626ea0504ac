#!/usr/bin/env node
// Runs a measurement written in TypeScript: node test/bench/run.mjs test/bench/FILE.ts [FLAGS]. Its `main` gets the flags.
import { fileURLToPath } from "node:url";
import { createServer } from "vite";

const [file, ...flags] = process.argv.slice(2);
const vite = await createServer({
  root: fileURLToPath(new URL("../..", import.meta.url)),
  configFile: false,
  appType: "custom",
  logLevel: "error",
  server: { middlewareMode: true, hmr: false, ws: false, watch: null },
  optimizeDeps: { noDiscovery: true, include: [] },
});
const { main } = await vite.ssrLoadModule(`/${file}`);
await main(flags);
process.exit(0);
