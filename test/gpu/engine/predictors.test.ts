import { createGpuEngine } from "../../helpers/engine.ts";
import { testPredictors } from "../../suites/predictors.ts";

testPredictors(() => createGpuEngine());
