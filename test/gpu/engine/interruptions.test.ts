import { createGpuEngine } from "../../helpers/engine.ts";
import { testInterruptions } from "../../suites/interruptions.ts";

testInterruptions(() => createGpuEngine());
