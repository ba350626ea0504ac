import { expect } from "vitest";
import { lastToken } from "../../../src/kernels/last_token.ts";
import { createRandom, normalArray } from "../../../src/numeric/random.ts";
import { kernelTest } from "../../helpers/run-kernel.ts";
import { lastTokenReference } from "../../reference/kernels/last_token.ts";
import { padded } from "./cases.ts";

kernelTest.for([
  { tokens: 1, width: 1 },
  { tokens: 1, width: 64 },
  { tokens: 3, width: 65 },
  { tokens: 9, width: 131 },
])("last_token copies the last of $tokens rows of $width", async ({ tokens, width }, { run }) => {
  const x = normalArray(createRandom(tokens), tokens * width);

  const { y } = await run(lastToken, {
    params: { width },
    buffers: { x: padded(x, (tokens + 2) * width), y: 4 * width },
    control: { tokens },
  });

  expect(y.floats).toEqual(lastTokenReference(x, width));
});

kernelTest("last_token does nothing once a router has faulted", async ({ run }) => {
  const { y } = await run(lastToken, {
    params: { width: 5 },
    buffers: { x: new Float32Array(10), y: 4 * 5 },
    control: { tokens: 2, fault: 1 },
  });

  expect(y.words).toEqual(y.before);
});
