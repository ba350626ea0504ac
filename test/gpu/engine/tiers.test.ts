import { createGpuEngine } from "../../helpers/engine.ts";
import { testTiers } from "../../suites/tiers.ts";

testTiers(() => createGpuEngine());
