import { createGpuEngine } from "../../helpers/engine.ts";
import { testScores } from "../../suites/score.ts";

testScores(() => createGpuEngine());
