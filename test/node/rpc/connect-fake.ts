import { onTestFinished } from "vitest";
import type { Engine } from "../../../src/engine/types.ts";
import { connect, type SluiceEngine } from "../../../src/index.ts";
import { serve } from "../../../src/rpc/server.ts";

/** The page's end of `engine`, which listens to the other end of a channel as it would in a worker. */
export function connectFake(engine: Engine): Promise<SluiceEngine> {
  const { port1, port2 } = new MessageChannel();
  onTestFinished(() => {
    port1.close();
    port2.close();
  });
  serve(engine, port2);
  return connect(port1);
}
