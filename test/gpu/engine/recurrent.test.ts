import { createGpuEngine } from "../../helpers/engine.ts";
import { testRecurrentStates } from "../../suites/recurrent.ts";

testRecurrentStates(() => createGpuEngine());
