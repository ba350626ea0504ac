import { createEngine } from "../../engine/engine.ts";
import {
  isExpertThread,
  runExpertThread,
  startExpertThread,
} from "../../engine/onnx/experts/worker-thread.ts";
import { serve } from "../../rpc/server.ts";
import type { TextFile } from "../../storage/text-file.ts";
import { PAGE_PATHS } from "./events.ts";

/** The command's own file: the browser that it started keeps nothing. */
const tunings: TextFile = {
  async read() {
    const response = await fetch(PAGE_PATHS.tunings);
    return response.status === 200 ? response.text() : undefined;
  },
  async write(body) {
    await fetch(PAGE_PATHS.tunings, { method: "PUT", body });
  },
  async remove() {
    await fetch(PAGE_PATHS.tunings, { method: "DELETE" });
  },
};

if (isExpertThread()) void runExpertThread();
else serve(createEngine({ gpu: navigator.gpu, tunings, startThread: startExpertThread }));
