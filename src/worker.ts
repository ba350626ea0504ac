import { createEngine } from "./engine/engine.ts";
import {
  isExpertThread,
  runExpertThread,
  startExpertThread,
} from "./engine/onnx/experts/worker-thread.ts";
import { browserTunings } from "./engine/tuning/kept.ts";
import { serve } from "./rpc/server.ts";

if (isExpertThread()) void runExpertThread();
else {
  serve(
    createEngine({
      gpu: navigator.gpu,
      tunings: browserTunings(),
      fallsBack: true,
      startThread: startExpertThread,
    }),
  );
}
