import { createEngine } from "../../engine/engine.ts";
import { serve } from "../../rpc/server.ts";

serve(createEngine({ gpu: navigator.gpu }));
