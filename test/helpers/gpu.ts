import { test } from "vitest";

/** Limits that a kernel test may use as far as the adapter goes. */
const LIMITS = [
  "maxStorageBufferBindingSize",
  "maxBufferSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupStorageSize",
  "maxComputeWorkgroupSizeX",
  "maxImmediateSize",
] as const satisfies (keyof GPUSupportedLimits)[];

/** Features that are asked for where the adapter has them. A test must not rely on any of them. */
const FEATURES: readonly GPUFeatureName[] = ["timestamp-query", "subgroups", "shader-f16"];

const ERROR_SCOPES: readonly GPUErrorFilter[] = ["validation", "out-of-memory"];

/**
 * A `test` whose context has a `device`.
 *
 * The device is requested once a file and destroyed after its last test. A browser without an
 * adapter fails the test. So does a validation or out-of-memory error that no scope of the test's
 * own caught, and a device that was lost.
 *
 * @example
 * gpuTest("makes a buffer", ({ device }) => {
 *   device.createBuffer({ size: 4, usage: GPUBufferUsage.STORAGE });
 * });
 */
export const gpuTest = test.extend<{ $file: { fileDevice: GPUDevice }; $test: TestFixtures }>({
  fileDevice: [
    async ({}, use) => {
      const device = await requestTestDevice();
      await use(device);
      device.destroy();
    },
    { scope: "file" },
  ],
  device: async ({ fileDevice }, use) => {
    let lost: GPUDeviceLostInfo | undefined;
    void fileDevice.lost.then((info) => {
      lost = info;
    });
    for (const filter of ERROR_SCOPES) fileDevice.pushErrorScope(filter);
    await use(fileDevice);
    const errors = await Promise.all(ERROR_SCOPES.map(() => fileDevice.popErrorScope()));
    for (const error of errors) {
      if (error) throw new Error(`The GPU reported ${error.constructor.name}: ${error.message}`);
    }
    if (lost) throw new Error(`The GPU device was lost (${lost.reason}): ${lost.message}`);
  },
});

interface TestFixtures {
  device: GPUDevice;
}

/** A device with the adapter's own {@link LIMITS} and what it has of {@link FEATURES}. */
export async function requestTestDevice(): Promise<GPUDevice> {
  if (!navigator.gpu) {
    throw new Error(
      "This browser has no WebGPU: navigator.gpu is undefined. Start it with the flags or " +
        "preferences of tools/browsers.",
    );
  }
  const adapter = await navigator.gpu.requestAdapter();
  if (!adapter) {
    throw new Error(
      "This browser has WebGPU but no adapter. Install a Vulkan driver (Debian: " +
        "mesa-vulkan-drivers) or run Chromium with --use-webgpu-adapter=swiftshader.",
    );
  }
  return adapter.requestDevice({
    // Not every browser knows all of them.
    requiredLimits: Object.fromEntries(
      LIMITS.filter((limit) => adapter.limits[limit] !== undefined).map((limit) => [
        limit,
        adapter.limits[limit],
      ]),
    ),
    requiredFeatures: FEATURES.filter((feature) => adapter.features.has(feature)),
  });
}
