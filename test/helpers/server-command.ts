import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { BrowserCommand } from "vitest/node";
import type { FileServer, RequestRecord, ServerBehaviour } from "./file-server.ts";
import type { TinyModelOptions } from "./tiny-models.ts";

/** A file server that a page has asked for. */
export interface ServedModel {
  readonly id: string;
  readonly url: string;
  readonly bytes: number;
}

/** What a server has sent so far. */
export interface ServerLog {
  readonly sentBytes: number;
  readonly requests: readonly Pick<RequestRecord, "range" | "sentBytes" | "atMs">[];
}

declare module "vitest/browser" {
  interface BrowserCommands {
    /** Serves a file of the repository, or a random model, from a server of its own. */
    serveModel: (
      model: string | TinyModelOptions,
      behaviour?: ServerBehaviour,
    ) => Promise<ServedModel>;
    /** Serves a random model in parts with so many tensors each; the address is that of the first. */
    serveSplitModel: (
      model: TinyModelOptions,
      counts: readonly number[],
      behaviour?: ServerBehaviour,
    ) => Promise<ServedModel>;
    /** Changes how a server behaves. */
    setServer: (id: string, behaviour: ServerBehaviour) => Promise<void>;
    /** Takes a server off line, or back. */
    setOnline: (id: string, online: boolean) => Promise<void>;
    serverLog: (id: string) => Promise<ServerLog>;
    stopServer: (id: string) => Promise<void>;
  }
}

/** By id. A server that no page stops ends with the test run. */
const servers = new Map<string, FileServer>();

const serveModel: BrowserCommand<
  [model: string | TinyModelOptions, behaviour?: ServerBehaviour]
> = async ({ project }, model, behaviour = {}) => {
  const { serveFile } = await project.import<typeof import("./file-server.ts")>(
    "/test/helpers/file-server.ts",
  );
  const { tinyModel } = await project.import<typeof import("./tiny-models.ts")>(
    "/test/helpers/tiny-models.ts",
  );
  const file =
    typeof model === "string"
      ? await readFile(resolve(project.config.root, model))
      : tinyModel(model);
  const server = await serveFile(file, behaviour);
  const id = server.url;
  servers.set(id, server);
  return { id, url: server.url, bytes: file.length };
};

const serveSplitModel: BrowserCommand<
  [model: TinyModelOptions, counts: readonly number[], behaviour?: ServerBehaviour]
> = async ({ project }, model, counts, behaviour = {}) => {
  const { serveFiles } = await project.import<typeof import("./file-server.ts")>(
    "/test/helpers/file-server.ts",
  );
  const { tinyModel } = await project.import<typeof import("./tiny-models.ts")>(
    "/test/helpers/tiny-models.ts",
  );
  const { partNames, splitGguf } = await project.import<typeof import("./gguf-layouts.ts")>(
    "/test/helpers/gguf-layouts.ts",
  );
  const parts = await splitGguf(tinyModel(model), counts);
  const names = partNames("tiny", counts.length);
  const files = new Map(names.map((name, index) => [name, parts[index]!]));
  const server = await serveFiles(files, behaviour);
  const id = server.url;
  servers.set(id, server);
  return { id, url: server.url, bytes: parts.reduce((sum, { length }) => sum + length, 0) };
};

const setServer: BrowserCommand<[id: string, behaviour: ServerBehaviour]> = (_, id, behaviour) => {
  Object.assign(served(id).behaviour, behaviour);
};

const setOnline: BrowserCommand<[id: string, online: boolean]> = (_, id, online) => {
  if (online) served(id).goOnline();
  else served(id).goOffline();
};

const serverLog: BrowserCommand<[id: string]> = (_, id): ServerLog => {
  const { sentBytes, log } = served(id);
  const requests = log.map(({ range, sentBytes, atMs }) => ({ range, sentBytes, atMs }));
  return { sentBytes, requests };
};

const stopServer: BrowserCommand<[id: string]> = async (_, id) => {
  await servers.get(id)?.[Symbol.asyncDispose]();
  servers.delete(id);
};

function served(id: string): FileServer {
  const server = servers.get(id);
  if (!server) throw new Error(`there is no server ${id}`);
  return server;
}

/** For `test.browser.commands`: servers that pages ask Node for. */
export const serverCommands = {
  serveModel,
  serveSplitModel,
  setServer,
  setOnline,
  serverLog,
  stopServer,
};
