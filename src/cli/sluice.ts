#!/usr/bin/env node
import { createReadStream } from "node:fs";
import type { ServerResponse } from "node:http";
import { createRequire } from "node:module";
import { dirname, extname, join, normalize, sep } from "node:path";
import { fileURLToPath } from "node:url";
import runner from "./page/runner.ts?worker&url";
import worker from "./page/worker.ts?worker&url";

// The entry of the built package. From source, src/cli/bin.mjs is in its place.

/** The folder that the addresses of the build's assets are relative to: this file is dist/cli/sluice.js. */
const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

function serveBuilt(address: string, response: ServerResponse): void {
  const path = normalize(join(ROOT, decodeURIComponent(new URL(address, "http://local").pathname)));
  if (!path.startsWith(ROOT + sep) || extname(path) !== ".js") {
    response.writeHead(404).end();
    return;
  }
  const file = createReadStream(path);
  file.once("error", () => response.writeHead(404).end());
  file.once("open", () => response.setHeader("Content-Type", "text/javascript"));
  file.pipe(response);
}

// commander is CommonJS and built in: its calls of require() are left in the bundle, which is a module and has none.
globalThis.require ??= createRequire(import.meta.url);
const { runCli } = await import("./main.ts");
const status = await runCli(process.argv.slice(2), {
  runner,
  worker,
  expertThread: new URL("expert-thread.js", import.meta.url),
  bundledModel: join(ROOT, "demo/models/sluice-small.gguf"),
  handle: (request, response) => serveBuilt(request.url ?? "/", response),
});
// Not by letting the loop run empty: Dawn holds handles.
process.exit(status);
