import { createGpuEngine } from "../../helpers/engine.ts";
import { testBudgets } from "../../suites/budgets.ts";

testBudgets(() => createGpuEngine());
