import { createEngine } from "./engine/engine.ts";
import { browserTunings } from "./engine/tuning/kept.ts";
import { serve } from "./rpc/server.ts";

serve(createEngine({ gpu: navigator.gpu, tunings: browserTunings(), fallsBack: true }));
