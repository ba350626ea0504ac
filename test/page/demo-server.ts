import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { createServer, type InlineConfig, preview } from "vite";
import { inject } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const configFile = `${ROOT}vite.config.ts`;

/** A server of the demo on a free port of this machine; `await using` or `Symbol.asyncDispose` stops it. */
export interface DemoServer extends AsyncDisposable {
  /** Address of the chat page where it computes on WebGPU, even if a software adapter is behind that. */
  readonly url: string;
  /** Address of the chat page that chooses by itself. */
  readonly plainUrl: string;
}

/** Serves the demo as `npm run dev` does. A page that is opened afresh asks for hundreds of modules. */
export async function startDemo(): Promise<DemoServer> {
  const server = await createServer({
    configFile,
    // Apart from the folder of `npm run dev`, which may be running.
    cacheDir: `${ROOT}node_modules/.vite/page-tests`,
    logLevel: "error",
    // A page under test must not be reloaded by someone who edits a file.
    server: { host: "127.0.0.1", port: 0, hmr: false, ws: false, watch: null },
  });
  await server.listen();
  return describe(server.httpServer, () => server.close());
}

/**
 * Serves the built demo.
 * @param headers in the place of those that the configuration says
 */
export async function serveDemo(headers?: Record<string, string>): Promise<DemoServer> {
  const own = { host: "127.0.0.1", port: 0 };
  const built = { logLevel: "error", build: { outDir: inject("demoFolder") } } as const;
  const options: InlineConfig = headers
    ? { ...built, configFile: false, preview: { ...own, headers } }
    : { ...built, configFile, mode: "demo", preview: own };
  const server = await preview(options);
  return describe(server.httpServer, () => server.close());
}

function describe(server: Pick<Server, "address"> | null, close: () => Promise<void>): DemoServer {
  const address = server?.address() as AddressInfo | undefined;
  const plainUrl = `http://127.0.0.1:${address?.port}/`;
  return { url: `${plainUrl}?runtime=webgpu`, plainUrl, [Symbol.asyncDispose]: close };
}
