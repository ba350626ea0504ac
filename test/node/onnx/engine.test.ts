import { createOnnxEngine } from "../../helpers/engine.ts";
import { testBudgets } from "../../suites/budgets.ts";
import { testChunks } from "../../suites/chunks.ts";
import { testMixedLayers } from "../../suites/mixed-layers.ts";
import { testRecurrentStates } from "../../suites/recurrent.ts";
import { testScores } from "../../suites/score.ts";
import { testSimulated } from "../../suites/simulated.ts";

/** onnxruntime-web sums the products of one row in another order than those of several. */
const CHUNK_TOLERANCE = 2e-5;

const open = () => createOnnxEngine();

testBudgets(open);
testChunks(open, CHUNK_TOLERANCE);
testMixedLayers(open);
testRecurrentStates(open);
testScores(open);
testSimulated(open);
