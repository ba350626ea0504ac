import { createOnnxEngine } from "../../helpers/engine.ts";
import { testBudgets } from "../../suites/budgets.ts";
import { testChunks } from "../../suites/chunks.ts";
import { testMixedLayers } from "../../suites/mixed-layers.ts";
import { testRecurrentStates } from "../../suites/recurrent.ts";
import { testScores } from "../../suites/score.ts";
import { testSimulated } from "../../suites/simulated.ts";

testBudgets(createOnnxEngine);
testChunks(createOnnxEngine);
testMixedLayers(createOnnxEngine);
testRecurrentStates(createOnnxEngine);
testScores(createOnnxEngine);
testSimulated(createOnnxEngine);
