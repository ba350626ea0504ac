import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { runtimeNames } from "../../../src/cli/runtimes/registry.ts";
import { tinyModel } from "../../helpers/tiny-models.ts";
import { runSluice, temporaryFile } from "./run-sluice.ts";

/** A browser's start and the shaders of a model, on busy cores. */
const TIMEOUT_MS = 300_000;

const MODEL = tinyModel({ architecture: "smallthinker", experts: 4, contextTokens: 64 });
const GENERATE = ["--tokens", "1,2,3", "--max-tokens", "4", "--variants", "serial"];

/** Serves {@link MODEL} as a simple host does: no Range, no CORS; anything else is not there. */
async function plainHost(): Promise<string> {
  const server = createServer((request, response) => {
    if (request.url === "/model.gguf") response.end(MODEL);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe.for(runtimeNames)("generate in %s", (runtime) => {
  test("ends with one JSON object", { timeout: TIMEOUT_MS }, async () => {
    const path = await temporaryFile("model.gguf", MODEL);
    const flags = ["--runtime", runtime, "--json", "--top-logprobs", "2"];

    const { status, stdout, stderr } = await runSluice(["generate", path, ...GENERATE, ...flags]);

    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const reply = JSON.parse(stdout);
    expect(reply).toMatchObject({
      model: { architecture: "smallthinker", layers: 2, experts: 4, topK: 2, bytes: MODEL.length },
      promptTokens: [1, 2, 3],
      finishReason: "length",
      stats: { tokens: 4, promptTokens: 3 },
    });
    expect(reply.tokens).toHaveLength(4);
    expect(reply.logprobs.map(({ token }: { token: number }) => token)).toEqual(reply.tokens);
    expect(reply.logprobs[0].top).toHaveLength(2);
  });
});

describe("generate from a URL in a browser", () => {
  test("streams the text of a model on a host that allows no page", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const url = `${await plainHost()}/model.gguf`;

    const { status, stdout, stderr } = await runSluice(["generate", url, ...GENERATE]);

    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(/\n$/);
  });

  test("names the URL that is not there", { timeout: TIMEOUT_MS }, async () => {
    const url = `${await plainHost()}/other.gguf`;

    const { status, stderr } = await runSluice(["generate", url, ...GENERATE]);

    expect(stderr).toMatch(/^sluice: not-found: [^\n]*\n$/);
    expect(stderr).toContain(url);
    expect(status).toBe(2);
  });
});
