import { createEngine } from "./engine/engine.ts";
import { browserTunings } from "./engine/tuning/kept.ts";
import { isOnnxThread, runOnnxThread } from "./onnx/thread.ts";
import { serve } from "./rpc/server.ts";

if (isOnnxThread()) void runOnnxThread();
else serve(createEngine({ gpu: navigator.gpu, tunings: browserTunings(), fallsBack: true }));
