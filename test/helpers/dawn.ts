import { createDawn } from "../../src/cli/runtimes/dawn.ts";

/** What a browser's page has: WebGPU, here of Dawn in Node, for tests that are run without a page. */
Object.defineProperty(globalThis, "navigator", {
  value: { gpu: await createDawn(), userAgent: "Node.js", hardwareConcurrency: 1 },
  configurable: true,
});
