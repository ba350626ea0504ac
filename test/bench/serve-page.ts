import type { AddressInfo } from "node:net";
import { createServer } from "vite";

/** What a measurement's page is made of. */
export interface ServedPage {
  readonly html: string;
  /** The path from the root at which the page finds the model. */
  readonly modelPath: string;
  readonly model: Uint8Array;
  /** The checkout whose sources are served; this one when absent. */
  readonly root?: string;
}

/** A server of a page; its maker calls `close`. */
export interface PageServer {
  readonly url: string;
  close(): Promise<void>;
}

/** Serves a page with the sources as they are and a model, on a free port of this machine. */
export async function servePage({ html, modelPath, model, root }: ServedPage): Promise<PageServer> {
  const server = await createServer({
    ...(root !== undefined && { root }),
    configFile: false,
    logLevel: "error",
    appType: "custom",
    server: { hmr: false, watch: null },
    optimizeDeps: {
      include: ["comlink", "@huggingface/gguf", "@huggingface/jinja", "@huggingface/tokenizers"],
    },
    plugins: [
      {
        name: "bench",
        configureServer: ({ middlewares }) => {
          middlewares.use((request, response, next) => {
            if (request.url === "/") response.setHeader("Content-Type", "text/html").end(html);
            else if (request.url === `/${modelPath}`) response.end(model);
            else next();
          });
        },
      },
    ],
  });
  await server.listen(0);
  const { port } = server.httpServer!.address() as AddressInfo;
  return { url: `http://localhost:${port}/`, close: () => server.close() };
}
