import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { chooseRuntime } from "../../../src/engine/runtime.ts";
import { SluiceError } from "../../../src/errors.ts";
import type { GpuContext } from "../../../src/gpu/device.ts";
import { OnnxRuntime } from "../../../src/onnx/runtime.ts";
import type { RuntimeWanted } from "../../../src/rpc/api.ts";

const GPU = { software: false, adapterName: "a card" } as GpuContext;
const SOFTWARE = { software: true, adapterName: "SwiftShader" } as GpuContext;
const ONNX = {} as OnnxRuntime;
const NO_ADAPTER = new SluiceError("no-adapter", "This browser has no WebGPU. Use another one.");
const NOT_LOADED = new SluiceError("missing-feature", "onnxruntime-web could not be loaded.");

beforeEach(() => {
  vi.spyOn(OnnxRuntime, "load").mockResolvedValue(ONNX);
});
afterEach(() => {
  vi.restoreAllMocks();
});

/** What is chosen where opening the GPU gives this, or fails with it. */
function choose(
  gpu: GpuContext | Error,
  { runtime, fallsBack = true }: { runtime?: RuntimeWanted; fallsBack?: boolean } = {},
) {
  const open = async () => {
    if (gpu instanceof Error) throw gpu;
    return gpu;
  };
  return chooseRuntime({ ...(runtime && { runtime }), host: { fallsBack }, open });
}

describe("by itself", () => {
  test("takes the GPU where there is one, and loads nothing else", async () => {
    expect(await choose(GPU)).toMatchObject({ name: "webgpu", context: GPU });
    expect(OnnxRuntime.load).not.toHaveBeenCalled();
  });

  test.for([
    NO_ADAPTER,
    new SluiceError("missing-feature", "The adapter lacks something. Use another one."),
  ])("takes WebAssembly where WebGPU cannot be had ($code), and says why", async (error) => {
    const chosen = await choose(error);

    expect(chosen).toMatchObject({ name: "onnx", onnx: ONNX });
    expect(chosen.reason).toMatch(/^[a-z].*[^.]$/);
    expect(error.message.toLowerCase()).toContain(chosen.reason.toLowerCase());
  });

  test("takes WebAssembly rather than a software adapter, whose name it says", async () => {
    const chosen = await choose(SOFTWARE);

    expect(chosen.name).toBe("onnx");
    expect(chosen.reason).toContain("SwiftShader");
  });

  test("takes a software adapter where WebAssembly cannot be loaded", async () => {
    vi.mocked(OnnxRuntime.load).mockRejectedValue(NOT_LOADED);

    const chosen = await choose(SOFTWARE);

    expect(chosen).toMatchObject({ name: "webgpu", context: SOFTWARE });
  });

  test("says that neither is there where WebAssembly cannot be loaded and there is no adapter", async () => {
    vi.mocked(OnnxRuntime.load).mockRejectedValue(NOT_LOADED);

    await expect(choose(NO_ADAPTER)).rejects.toBe(NOT_LOADED);
  });

  test("does not hide other failures of the GPU", async () => {
    const lost = new SluiceError("device-lost", "The device was lost.");

    await expect(choose(lost)).rejects.toBe(lost);
    await expect(choose(new TypeError("a bug"))).rejects.toThrow("a bug");
  });

  test("takes WebGPU or nothing where the host does not let it choose", async () => {
    expect(await choose(SOFTWARE, { fallsBack: false })).toMatchObject({ name: "webgpu" });
    await expect(choose(NO_ADAPTER, { fallsBack: false })).rejects.toBe(NO_ADAPTER);
    expect(OnnxRuntime.load).not.toHaveBeenCalled();
  });
});

describe("when asked", () => {
  test("takes WebAssembly and does not open the GPU", async () => {
    const open = vi.fn<() => Promise<GpuContext>>();
    const chosen = await chooseRuntime({
      ...{ runtime: "onnx", onnxFolder: "https://cdn.example/ort/", host: {}, open },
    });

    expect(chosen).toMatchObject({ name: "onnx", onnx: ONNX });
    expect(open).not.toHaveBeenCalled();
    expect(OnnxRuntime.load).toHaveBeenCalledWith(
      expect.objectContaining({ folder: "https://cdn.example/ort/" }),
    );
  });

  test("takes WebGPU, on whatever it runs, or says that it cannot", async () => {
    expect(await choose(SOFTWARE, { runtime: "webgpu" })).toMatchObject({ name: "webgpu" });
    await expect(choose(NO_ADAPTER, { runtime: "webgpu" })).rejects.toBe(NO_ADAPTER);
    expect(OnnxRuntime.load).not.toHaveBeenCalled();
  });

  test("passes on how many threads, and refuses what is no number of them", async () => {
    const open = async () => GPU;
    const startThread = () => {
      throw new Error("unreachable: no model is loaded");
    };
    const chosen = await chooseRuntime({
      ...{ runtime: "onnx", onnxThreads: 3, onnxFolder: "/ort/" },
      host: { startThread },
      open,
    });

    const threads = { threads: 3, start: startThread, folder: "/ort/" };
    expect(chosen).toMatchObject({ threads });
    for (const onnxThreads of [0, 1.5]) {
      await expect(chooseRuntime({ onnxThreads, host: {}, open })).rejects.toMatchObject({
        code: "bad-input",
        message: expect.stringContaining("onnxThreads"),
      });
    }
  });

  test("for what there is not, says what there is", async () => {
    await expect(choose(GPU, { runtime: "cuda" as RuntimeWanted })).rejects.toMatchObject({
      code: "bad-input",
      message: 'runtime is "cuda"; it must be one of auto, webgpu, onnx.',
    });
  });
});
