#!/usr/bin/env node
// The sluice command from source, for Node and for the page alike. The built package has src/cli/sluice.ts in its place.
import { join } from "node:path";
import { openSource, root } from "./from-source.mjs";

const vite = await openSource();
/** Vite lets code that imports what it computes import this; it would open a socket that nobody answers. */
const VITE_CLIENT = "/@vite/client";
const CLIENT_CODE = "export const injectQuery = (url) => url;";

const { runCli } = await vite.ssrLoadModule("/src/cli/main.ts");
const status = await runCli(process.argv.slice(2), {
  runner: "/src/cli/page/runner.ts",
  worker: "/src/cli/page/worker.ts",
  peers: "/test/bench/peers/page.ts",
  expertThread: new URL("expert-thread.mjs", import.meta.url),
  bundledModel: join(root, "demo/models/sluice-small.gguf"),
  handle(request, response) {
    if (request.url !== VITE_CLIENT) return vite.middlewares(request, response);
    response.setHeader("Content-Type", "text/javascript").end(CLIENT_CODE);
  },
});
// Not by letting the loop run empty: Dawn and Vite hold handles.
process.exit(status);
