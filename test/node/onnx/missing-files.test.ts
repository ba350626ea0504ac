import { expect, onTestFinished, test } from "vitest";
import { createOnnxEngine, loadCold } from "../../helpers/engine.ts";
import { tinyModel } from "../../helpers/tiny-models.ts";

// A file of its own: onnxruntime-web is loaded once, and what it could not load it does not try again.
test("a folder without onnxruntime-web's files is told, with what to do", async () => {
  const engine = createOnnxEngine();
  onTestFinished(() => engine.dispose());
  const model = tinyModel({ architecture: "olmoe", hidden: 64, ffn: 32, heads: 2, headDim: 32 });

  const load = loadCold(engine, model.buffer, { onnxFolder: "file:///nowhere/" });

  await expect(load).rejects.toMatchObject({
    code: "missing-feature",
    message: expect.stringMatching(/nowhere.*onnxFolder.*load the page again/),
  });
});
