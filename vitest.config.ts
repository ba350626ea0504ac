import { availableParallelism } from "node:os";
import { playwright } from "@vitest/browser-playwright";
import { defineConfig, type TestProjectInlineConfiguration } from "vitest/config";
import { memoryCommands } from "./test/helpers/memory-command.ts";
import { oracleCommands } from "./test/helpers/oracle-command.ts";
import { serverCommands } from "./test/helpers/server-command.ts";
import { workerBundle } from "./test/helpers/worker-bundle.ts";
import { CHROMIUM_ARGS, findChromium } from "./tools/browsers/chromium.ts";
import { firefox } from "./tools/browsers/vitest-firefox.ts";
import { ClosingLine } from "./tools/setup/closing-line.ts";
import { optimizeDeps } from "./vite.config.ts";

/**
 * Files at a time of the projects in Node, and of a browser project that can. What takes time is the compilation of
 * shaders in one process, beside which another core is free: so there are half as many as cores, once in Node and once in
 * a browser.
 */
const maxWorkers = Math.max(1, Math.floor(availableParallelism() / 2));

/** Properties may be tried with more cases than usual, which takes longer: see `test/helpers/random-cases.ts`. */
const patience = Math.max(1, Number(process.env.VITE_RUNS ?? 1));

type BrowserOptions = NonNullable<NonNullable<TestProjectInlineConfiguration["test"]>["browser"]>;

/** The tests of `test/<folder>`, which run in Node. */
function nodeProject(
  folder: string,
  testTimeout: number,
  options: TestProjectInlineConfiguration["test"] = {},
): TestProjectInlineConfiguration {
  return {
    test: {
      name: folder,
      include: [`test/${folder}/**/*.test.ts`],
      testTimeout: patience * testTimeout,
      hookTimeout: testTimeout,
      maxWorkers,
      ...options,
    },
  };
}

/** The gpu tests in `browser`, which `provider` starts. */
function gpuProject(
  browser: "chromium" | "firefox",
  provider: NonNullable<BrowserOptions["provider"]>,
): TestProjectInlineConfiguration {
  return {
    plugins: [workerBundle()],
    optimizeDeps: { ...optimizeDeps, include: ["fast-check", ...optimizeDeps.include] },
    test: {
      name: browser,
      include: ["test/gpu/**/*.test.ts"],
      testTimeout: patience * 120_000,
      hookTimeout: 120_000,
      maxWorkers,
      browser: {
        enabled: true,
        headless: true,
        screenshotFailures: false,
        connectTimeout: 180_000, // a browser's start on two busy cores
        instances: [{ browser }],
        commands: { ...memoryCommands, ...oracleCommands, ...serverCommands },
        provider,
      },
    },
  };
}

/**
 * Kernels and workers run in real browsers on software adapters; everything pure runs in Node.
 * `parity` compares whole models with llama.cpp, `page` drives the demo pages. Vitest runs one
 * browser project after the other, and the projects in Node, one after the other, beside them.
 */
export default defineConfig({
  test: {
    reporters: ["default", new ClosingLine()],
    projects: [
      nodeProject("node", 30_000),
      gpuProject(
        "chromium",
        playwright({
          launchOptions: { executablePath: findChromium(), args: [...CHROMIUM_ARGS] },
        }),
      ),
      gpuProject("firefox", firefox),
      nodeProject("parity", 300_000),
      nodeProject("page", 300_000, { globalSetup: "test/page/build-demo.ts" }),
    ],
  },
});
