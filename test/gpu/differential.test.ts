import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { type WeightFormatName, weightFormats } from "../../src/formats/registry.ts";
import { type ArchitectureName, architectures } from "../../src/models/registry.ts";
import { routerInputs } from "../../src/ops/ops.ts";
import { createGpuEngine, createOnnxEngine, loadCold, replyOf } from "../helpers/engine.ts";
import { type TinyModelOptions, tinyModel } from "../helpers/tiny-models.ts";
