import { createGpuEngine } from "../../helpers/engine.ts";
import { testMixedLayers } from "../../suites/mixed-layers.ts";

testMixedLayers(() => createGpuEngine());
