import { createOnnxEngine } from "../../helpers/engine.ts";
import { testBudgets } from "../../suites/budgets.ts";
import { testChunks } from "../../suites/chunks.ts";
import { testInterruptions } from "../../suites/interruptions.ts";
import { testLayouts } from "../../suites/layouts.ts";
import { testMixedLayers } from "../../suites/mixed-layers.ts";
import { testPredictors } from "../../suites/predictors.ts";
import { testRecurrentStates } from "../../suites/recurrent.ts";
import { testScores } from "../../suites/score.ts";
import { testSimulated } from "../../suites/simulated.ts";
import { testTiers } from "../../suites/tiers.ts";

/** onnxruntime-web sums the products of one row in another order than those of several. */
const CHUNK_TOLERANCE = 2e-5;

const open = () => createOnnxEngine();

testBudgets(open);
testChunks(open, CHUNK_TOLERANCE);
testInterruptions(open);
testLayouts(open);
testMixedLayers(open);
testPredictors(open);
testRecurrentStates(open);
testScores(open);
testSimulated(open);
testTiers(open);
