// The worker of `src/worker.ts` in a browser without WebGPU.
import { createEngine } from "../../../src/engine/engine.ts";
import {
  isExpertThread,
  runExpertThread,
  startExpertThread,
} from "../../../src/engine/onnx/experts/worker-thread.ts";
import { serve } from "../../../src/rpc/server.ts";

if (isExpertThread()) void runExpertThread();
else serve(createEngine({ gpu: undefined, fallsBack: true, startThread: startExpertThread }));
