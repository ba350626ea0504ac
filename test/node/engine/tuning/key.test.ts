import { expect, test } from "vitest";
import { tuningKey } from "../../../../src/engine/tuning/key.ts";
import { type Accuracy, accuracies } from "../../../../src/formats/input/registry.ts";
import { openGguf } from "../../../../src/gguf/gguf.ts";
import { readModel } from "../../../../src/models/registry.ts";
import { memorySource } from "../../../../src/storage/memory-source.ts";
import { tinyModel } from "../../../helpers/tiny-models.ts";

test("products of each accuracy are tuned apart", async () => {
  const file = await openGguf(memorySource(tinyModel({ architecture: "olmoe", format: "q8_0" })));
  const { metadata, tensors } = file;
  const spec = readModel({ metadata, shape: (name) => tensors.get(name)?.shape });
  const names = Object.keys(accuracies) as Accuracy[];
  const keys = names.map((accuracy) =>
    tuningKey({
      adapterName: "an adapter",
      device: { adapterClass: "software", leastSubgroup: 4, mostLanes: 256 },
      runtime: "a browser",
      file,
      spec,
      kvCache: "f32",
      accuracy,
      pinned: {},
    }),
  );

  expect(new Set(keys).size).toBe(names.length);
});
