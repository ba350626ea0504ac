import { expect, test } from "vitest";
import type { ModelSource } from "../../../src/rpc/api.ts";
import { toWireFolder, toWireSource } from "../../../src/rpc/source.ts";

test("the files of a split model cross as they are", () => {
  const files = [new Blob(["a"]), new Blob(["b"])];

  expect(toWireSource(files)).toBe(files);
  expect(toWireSource(files[0]!)).toBe(files[0]);
});

test.for<[string, unknown]>([
  ["a list with something else", [new Blob(["a"]), "b"]],
  ["nothing", null],
  ["a number", 5],
])("%s is refused with what can be given", ([, source]) => {
  expect(() => toWireSource(source as ModelSource)).toThrow(
    expect.objectContaining({
      code: "bad-input",
      message: expect.stringContaining("the Files of a split model"),
    }),
  );
});

test("a folder crosses with its slash, however it is written", () => {
  expect(toWireFolder("https://example.com/onnx")).toBe("https://example.com/onnx/");
  expect(toWireFolder("https://example.com/onnx/")).toBe("https://example.com/onnx/");
});

test("a folder that is no URL is refused with what can be given", () => {
  expect(() => toWireFolder("https://")).toThrow(
    expect.objectContaining({
      code: "bad-input",
      message: expect.stringContaining("a URL of a folder"),
    }),
  );
});
