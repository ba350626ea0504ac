// The worker of `src/worker.ts` in a browser without WebGPU.
import { createEngine } from "../../../src/engine/engine.ts";
import { serve } from "../../../src/rpc/server.ts";

serve(createEngine({ gpu: undefined, fallsBack: true }));
