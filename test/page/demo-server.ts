import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { createServer, type InlineConfig } from "vite";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** The demo as `npm run dev` serves it, on a free port of this machine. */
export interface DemoServer extends AsyncDisposable {
  /** Address of the chat page where it computes on WebGPU, even if a software adapter is behind that. */
  readonly url: string;
  /** Address of the chat page that chooses by itself. */
  readonly plainUrl: string;
}

/** Starts the development server of the demo; `await using` or `Symbol.asyncDispose` stops it. */
export async function startDemo(overrides: InlineConfig = {}): Promise<DemoServer> {
  const server = await createServer({
    configFile: `${ROOT}vite.config.ts`,
    // Apart from the folder of `npm run dev`, which may be running.
    cacheDir: `${ROOT}node_modules/.vite/page-tests`,
    logLevel: "error",
    // A page under test must not be reloaded by someone who edits a file.
    server: { host: "127.0.0.1", port: 0, hmr: false, ws: false, watch: null },
    ...overrides,
  });
  await server.listen();
  const address = server.httpServer?.address() as AddressInfo | undefined;
  const plainUrl = `http://127.0.0.1:${address?.port}/`;
  return {
    url: `${plainUrl}?runtime=webgpu`,
    plainUrl,
    [Symbol.asyncDispose]: () => server.close(),
  };
}
