import { defineConfig } from "vitest/config";
import { ClosingLine } from "./tools/setup/closing-line.ts";

/**
 * `npm run test:dawn`: kernels and the engine on this machine's GPU, or on SwiftShader where there is none, in Node through
 * Dawn. No part of `npm test`: browsers run the same tests there. Left out is what a browser's page is needed for.
 */
export default defineConfig({
  test: {
    name: "dawn",
    include: ["test/gpu/**/*.test.ts"],
    exclude: [
      "test/gpu/parity.test.ts",
      "test/gpu/kernels/onnx.test.ts",
      "test/gpu/worker/**",
      "test/gpu/engine/{combinations,kept,memory,split}.test.ts",
    ],
    setupFiles: ["test/helpers/dawn.ts"],
    reporters: ["default", new ClosingLine()],
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
