import { afterAll } from "vitest";
import { commands } from "vitest/browser";
import { createEngine } from "../../src/engine/engine.ts";
import { parityFormats, testParity } from "../suites/parity.ts";

const engine = createEngine({ gpu: navigator.gpu });
afterAll(() => engine.dispose());

testParity({
  engine,
  oracle: commands.oracle,
  open: ({ url }) => new URL(url, location.href).href,
  /** Firefox takes one of each: what it has of its own are the adapter and the compiler, which other tests are for. */
  formatsOf(name, index) {
    const formats = parityFormats(name, index);
    const isFirefox = navigator.userAgent.includes("Firefox");
    return isFirefox && index > 0 ? [formats[index % formats.length]!] : formats;
  },
});
