import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { basename } from "node:path";
import type { TextFile } from "../../storage/text-file.ts";
import type { Job, PageAssets } from "../job.ts";
import { type ModelLocation, partLocations } from "../location.ts";
import { PAGE_PATHS, type PageEvent, type PageJob } from "../page/events.ts";
import { tuningsFile } from "../tunings.ts";
import { serveFile, serveUrl } from "./serve-model.ts";

/** With these a page reads clocks that are not rounded to 0.1 ms, and may share memory among threads. */
const ISOLATION = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
} as const;

/** The local server of one page. */
export interface PageServer {
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Serves a page that does `job`, on a free port of this machine only. The page has its scripts, the job and the model
 * from here, so that a model's host need not allow pages of other origins; it posts events here.
 */
export async function startPageServer(
  job: Job,
  assets: PageAssets,
  onEvent: (event: PageEvent) => void,
): Promise<PageServer> {
  const parts = new Map(partLocations(job.model).map((part) => [pathOf(part), part]));

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url?.replace(/\?.*/, "");
    for (const [name, value] of Object.entries(ISOLATION)) response.setHeader(name, value);
    if (path === PAGE_PATHS.page) {
      send(response, "text/html", pageHtml(assets.runner));
    } else if (path === PAGE_PATHS.job) {
      const { task, model } = job;
      const load = { ...job.load, runtime: "webgpu" } as const;
      const pageJob: PageJob = { worker: assets.worker, model: pathOf(model), load, task };
      send(response, "application/json", JSON.stringify(pageJob));
    } else if (path === PAGE_PATHS.events) {
      for (const event of JSON.parse(await readBody(request)) as PageEvent[]) {
        onEvent(event.kind === "error" ? { ...event, message: named(event.message) } : event);
      }
      response.writeHead(204).end();
    } else if (path === PAGE_PATHS.tunings) {
      await serveText(tuningsFile(), request, response);
    } else {
      const part = parts.get(path ?? "");
      if (!part) assets.handle(request, response);
      else if (part.kind === "file") await serveFile(part.path, request, response);
      else await serveUrl(part.url, request, response);
    }
  }

  /** A sentence of the page with the model's own places in it. */
  function named(message: string): string {
    return [...parts].reduce(
      (text, [path, part]) =>
        text.replaceAll(`${origin}${path}`, part.kind === "file" ? part.path : part.url),
      message,
    );
  }

  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: origin + PAGE_PATHS.page,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The page; it tells of a script that does not load, which no script could. */
function pageHtml(runner: string): string {
  const tellError = `fetch(${JSON.stringify(PAGE_PATHS.events)}, { method: "POST", body: JSON.stringify([
    { kind: "error", message: "The page failed: " + (event.message ?? "its script did not load") }]) })`;
  return `<!doctype html>
<meta charset="utf-8">
<title>sluice</title>
<link rel="icon" href="data:,">
<script>addEventListener("error", (event) => { ${tellError}; }, true);</script>
<script type="module" src="${runner}"></script>
`;
}

function send(response: ServerResponse, type: string, body: string): void {
  response.writeHead(200, { "Content-Type": type, "Cache-Control": "no-store" }).end(body);
}

/** Answers GET, PUT and DELETE of a file; that there is none is an answer, too. */
async function serveText(
  file: TextFile,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method === "GET") {
    const text = await file.read();
    if (text !== undefined) return send(response, "application/json", text);
  } else if (request.method === "DELETE") {
    await file.remove();
  } else {
    await file.write(await readBody(request));
  }
  response.writeHead(204).end();
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}

/** Where the page finds a file of the model. */
function pathOf(part: ModelLocation): string {
  const name =
    part.kind === "file"
      ? basename(part.path)
      : new URL(part.url).pathname.split("/").at(-1) || "model.gguf";
  return `/sluice/model/${encodeURIComponent(name)}`;
}
