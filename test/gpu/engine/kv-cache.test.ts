import { createGpuEngine } from "../../helpers/engine.ts";
import { testKvCaches } from "../../suites/kv-cache.ts";

testKvCaches(() => createGpuEngine());
