import { createGpuEngine } from "../../helpers/engine.ts";
import { testChunks } from "../../suites/chunks.ts";

testChunks(() => createGpuEngine());
