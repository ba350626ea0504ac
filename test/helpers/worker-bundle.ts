import { fileURLToPath } from "node:url";
import { build, type Plugin, type Rolldown } from "vite";
import { WORKER_FOLDER, workerEntries } from "./worker-entries.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const TYPES: Readonly<Record<string, string>> = { js: "text/javascript", wasm: "application/wasm" };

/**
 * Serves the workers of the tests bundled, as apps have them: a development server hands them out in hundreds of modules,
 * which every worker asks for again, and a test that starts fifty waits for most of its time. They are bundled at the first
 * request.
 */
export function workerBundle(): Plugin {
  let bundled: Promise<ReadonlyMap<string, string | Uint8Array>> | undefined;
  return {
    name: "sluice-worker-bundle",
    configureServer({ middlewares, config }) {
      middlewares.use(WORKER_FOLDER, async (request, response, next) => {
        try {
          bundled ??= bundleWorkers();
          const path = request.url?.replace(/^\/|\?.*/g, "") ?? "";
          const content = (await bundled).get(path);
          if (content === undefined) return next();
          const type = TYPES[path.split(".").at(-1)!] ?? "application/octet-stream";
          for (const [name, value] of Object.entries(config.server.headers ?? {})) {
            if (value !== undefined) response.setHeader(name, value);
          }
          response.writeHead(200, { "Content-Type": type, "Cache-Control": "max-age=3600" });
          response.end(content);
        } catch (error) {
          next(error);
        }
      });
    },
  };
}

/** The files of all workers, by path. */
async function bundleWorkers(): Promise<ReadonlyMap<string, string | Uint8Array>> {
  const { output } = (await build({
    configFile: false,
    root: ROOT,
    base: "./",
    publicDir: false,
    logLevel: "error",
    build: {
      write: false,
      minify: false,
      target: "es2023",
      rolldownOptions: { input: { ...workerEntries }, output: { entryFileNames: "[name].js" } },
    },
  })) as Rolldown.RolldownOutput;
  return new Map(
    output.map((file) => [file.fileName, file.type === "chunk" ? file.code : file.source]),
  );
}
