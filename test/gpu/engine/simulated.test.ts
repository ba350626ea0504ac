import { createGpuEngine } from "../../helpers/engine.ts";
import { testSimulated } from "../../suites/simulated.ts";

testSimulated(() => createGpuEngine());
