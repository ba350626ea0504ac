// The worker of `src/worker.ts`, with time enough to time variants on a busy machine, too.
import { createEngine } from "../../../src/engine/engine.ts";
import { browserTunings } from "../../../src/engine/tuning/kept.ts";
import { serve } from "../../../src/rpc/server.ts";

serve(createEngine({ gpu: navigator.gpu, tunings: browserTunings(), tuningMs: 30_000 }));
