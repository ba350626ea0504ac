import { SluiceError } from "../errors.ts";
import { type AdapterClass, classifyAdapter } from "./adapter-class.ts";
import { GpuMemory } from "./memory.ts";
import { type ParamsBinding, PipelineCache } from "./pipelines.ts";
import { softwareParts } from "./software-parts.ts";

/** An opened GPU device and what hangs on it. Owned by the engine, which calls `dispose`. */
export interface GpuContext {
  readonly device: GPUDevice;
  /** A name for people: vendor, architecture and description, as far as the browser tells. */
  readonly adapterName: string;
  /** Whether the adapter runs on the CPU (SwiftShader, lavapipe). */
  readonly software: boolean;
  readonly adapterClass: AdapterClass;
  /** The least number of lanes that a subgroup may have; undefined where the device has no subgroups. */
  readonly leastSubgroup: number | undefined;
  /** Lanes that a workgroup may have. */
  readonly mostLanes: number;
  /** Whether the device has an instruction for products of bytes, as far as is known: `dot4I8Packed` in WGSL. */
  readonly packedDot: boolean;
  /** Whether the device computes in f16: `shader-f16`. */
  readonly halves: boolean;
  readonly memory: GpuMemory;
  readonly pipelines: PipelineCache;
  /** Resolves with the reason when the device is lost; never rejects. */
  readonly lost: Promise<SluiceError>;
  /** Throws "gpu-error" if the GPU reported an error that no one was waiting for: results since then are worth nothing. */
  check(): void;
  dispose(): void;
}

/** Limits that are asked for at the adapter's own value: bigger tensors and arenas need them. */
const WANTED_LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxImmediateSize",
] as const;

/** Features that are asked for where the adapter has them: nothing must rely on one. */
const WANTED_FEATURES: readonly GPUFeatureName[] = ["subgroups", "shader-f16", "timestamp-query"];

/** The language feature with `dot4I8Packed`. */
const PACKED_DOT = "packed_4x8_integer_dot_product";

/** The workgroup size and storage that the kernels are written for: WebGPU's guaranteed minimum. */
const REQUIRED_LIMITS = {
  maxStorageBuffersPerShaderStage: 8,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupStorageSize: 16_384,
} as const;

/**
 * Opens a device with the largest limits that the adapter has.
 * @param maxBufferBytes see `GpuMemory`
 * Throws "no-adapter" or "missing-feature" with what to do.
 */
export async function openGpu(gpu: GPU | undefined, maxBufferBytes?: number): Promise<GpuContext> {
  if (!gpu) {
    throw new SluiceError(
      "no-adapter",
      "This browser has no WebGPU. Use a current Chrome, Edge, Firefox or Safari, over https or localhost.",
    );
  }
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) {
    throw new SluiceError(
      "no-adapter",
      "This browser has WebGPU but no adapter for it. Turn on hardware acceleration in the browser's settings, update the graphics driver, or start the browser with a software adapter.",
    );
  }
  const { device, lost } = await requestDevice(adapter);
  const { vendor, architecture, description } = adapter.info;
  const name = [vendor, architecture, description].filter(Boolean).join(" ");
  const software = adapter.info.isFallbackAdapter || /swiftshader|llvmpipe|lavapipe/i.test(name);
  const memory = new GpuMemory(device, maxBufferBytes);
  let failure: SluiceError | undefined;
  device.addEventListener("uncapturederror", ({ error }) => {
    failure ??= new SluiceError(
      "gpu-error",
      `The GPU reported an error: ${error.message}. Load the model again; if it happens again, try another browser and report this.`,
      { cause: error },
    );
  });
  return {
    device,
    // Firefox names none.
    adapterName: name || (software ? "unnamed software adapter" : "unnamed adapter"),
    software,
    adapterClass: classifyAdapter(name, software),
    leastSubgroup: device.features.has("subgroups")
      ? (adapter.info.subgroupMinSize ?? 1)
      : undefined,
    mostLanes: Math.min(
      device.limits.maxComputeInvocationsPerWorkgroup,
      device.limits.maxComputeWorkgroupSizeX,
    ),
    packedDot: !software && (gpu.wgslLanguageFeatures?.has(PACKED_DOT) ?? false),
    halves: device.features.has("shader-f16"),
    memory,
    pipelines: createPipelines(gpu, device, software),
    lost,
    check() {
      if (failure) throw failure;
    },
    dispose() {
      device.destroy();
    },
  };
}

/** A device's pipelines, linked and bound as suits it best. */
export function createPipelines(gpu: GPU, device: GPUDevice, software: boolean): PipelineCache {
  const parts = software ? softwareParts : undefined;
  return new PipelineCache(device, paramsBinding(gpu, device, software), parts);
}

/** The most storage buffers that a kernel binds, and its params. */
const STORAGE_BUFFERS_WITH_PARAMS = REQUIRED_LIMITS.maxStorageBuffersPerShaderStage + 1;

/**
 * What kernels read their params from: immediates where the browser has them and the params are short, a buffer with an
 * offset for each step otherwise. Firefox's software adapter is Mesa's lavapipe, which writes the values of uniforms
 * into the shader where that lets it unroll a loop or drop a branch. Mesa 22.3 (Debian 12) does so at every dispatch and
 * keeps each compilation: 1.3 MB and 10 ms for a router. It leaves storage buffers alone, but goes wrong where a loop's
 * end comes from one, the loop waits for barriers, and the workgroup does not fill its vectors of 8: so kernels that wait
 * have multiples of 8 invocations there. To be deleted when no such version matters any more.
 */
function paramsBinding(gpu: GPU, { limits }: GPUDevice, software: boolean): ParamsBinding {
  const isFirefox = typeof navigator !== "undefined" && navigator.userAgent?.includes("Firefox");
  const hasRoom = limits.maxStorageBuffersPerShaderStage >= STORAGE_BUFFERS_WITH_PARAMS;
  const hasImmediates =
    gpu.wgslLanguageFeatures?.has("immediate_address_space") &&
    "setImmediates" in GPUComputePassEncoder.prototype;
  return {
    buffer: isFirefox && software && hasRoom ? "read" : "uniform",
    dynamic: true,
    immediateBytes: hasImmediates ? (limits.maxImmediateSize ?? 0) : 0,
  };
}

async function requestDevice(
  adapter: GPUAdapter,
): Promise<{ device: GPUDevice; lost: Promise<SluiceError> }> {
  for (const [limit, wanted] of Object.entries(REQUIRED_LIMITS)) {
    const offered = adapter.limits[limit as keyof typeof REQUIRED_LIMITS];
    if (offered < wanted) {
      throw new SluiceError(
        "missing-feature",
        `This adapter offers ${limit} ${offered}; Sluice needs ${wanted}. Use another browser or GPU.`,
      );
    }
  }
  // Not every browser knows all of them.
  const known = WANTED_LIMITS.filter((limit) => adapter.limits[limit] !== undefined);
  const requiredLimits = Object.fromEntries(known.map((limit) => [limit, adapter.limits[limit]]));
  const requiredFeatures = WANTED_FEATURES.filter((feature) => adapter.features.has(feature));
  const device = await adapter
    .requestDevice({ label: "sluice", requiredLimits, requiredFeatures })
    .catch((cause) => {
      throw new SluiceError(
        "no-adapter",
        `The adapter refused to open a device: ${String(cause)}. Reload the page; if that does not help, restart the browser.`,
        { cause },
      );
    });
  const lost = device.lost.then(
    (info) =>
      new SluiceError(
        "device-lost",
        `The GPU device was lost (${info.reason}${info.message ? `: ${info.message}` : ""}). Load the model again; if it happens again, give it a smaller GPU budget.`,
      ),
  );
  return { device, lost };
}
