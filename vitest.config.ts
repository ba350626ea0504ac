import { playwright } from "@vitest/browser-playwright";
import { defineConfig } from "vitest/config";
import { CHROMIUM_ARGS, findChromium } from "./tools/browsers/chromium.ts";
import { firefox } from "./tools/browsers/vitest-firefox.ts";

/** Kernels and workers run in real browsers on software adapters; everything pure runs in Node. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "node",
          include: ["test/node/**/*.test.ts"],
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: "chromium",
          include: ["test/gpu/**/*.test.ts"],
          testTimeout: 120_000,
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            instances: [{ browser: "chromium" }],
            provider: playwright({
              launchOptions: { executablePath: findChromium(), args: [...CHROMIUM_ARGS] },
            }),
          },
        },
      },
      {
        test: {
          name: "firefox",
          include: ["test/gpu/**/*.test.ts"],
          testTimeout: 120_000,
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            instances: [{ browser: "firefox" }],
            provider: firefox,
          },
        },
      },
    ],
  },
});
