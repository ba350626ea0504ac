import type { GpuContext } from "../../gpu/device.ts";
import { encodeParams, type Kernel } from "../../gpu/kernel.ts";
import { PipelineCache } from "../../gpu/pipelines.ts";
import { Readback } from "../../gpu/readback.ts";
import { candidates, MOST_SUMMING, needsSubgroups, type Reduction } from "../../kernels/parts.ts";
import { subgroupProbe } from "../../kernels/subgroup_probe.ts";

const checked = new WeakMap<GpuContext, Promise<number | undefined>>();

/**
 * The least number of lanes of a subgroup, where subgroups are as `shaders/reduce/subgroup.wgsl` needs them: WGSL does not
 * say which invocations share one. Undefined otherwise, and where there are none. A device is asked once.
 */
export function usableSubgroups(context: GpuContext): Promise<number | undefined> {
  let found = checked.get(context);
  if (!found) {
    found = check(context);
    checked.set(context, found);
  }
  return found;
}

async function check(context: GpuContext): Promise<number | undefined> {
  const { leastSubgroup } = context;
  if (leastSubgroup === undefined) return undefined;
  try {
    const shapes = await Promise.all(
      subgroupShapes().map((shape) => areNeighbours(context, shape)),
    );
    return shapes.every(Boolean) ? leastSubgroup : undefined;
  } catch {
    // A driver that cannot compile the probe has no subgroups that are of use.
    return undefined;
  }
}

/** Every shape of workgroup in which subgroups are summed over: those of the candidates, and with as many rows as fit. */
export function subgroupShapes(): Reduction["constants"][] {
  const { matrix, norm } = candidates;
  const choices: Reduction[] = [matrix, norm].flatMap((family) => Object.values(family));
  const own = choices.filter(needsSubgroups).map(({ constants }) => constants);
  const full = own.map(({ LANES = 1 }) => ({ LANES, ROWS: MOST_SUMMING / LANES }));
  const shapes = [...own, ...full].map((constants) => JSON.stringify(constants));
  return [...new Set(shapes)].map((shape) => JSON.parse(shape));
}

async function areNeighbours(
  { device }: GpuContext,
  constants: Reduction["constants"],
): Promise<boolean> {
  const kernel = subgroupProbe as unknown as Kernel;
  // With pipelines of its own: its params are bound here, wherever the device's other kernels have theirs.
  const { pipeline, layouts } = await new PipelineCache(device).compile(kernel, [], constants);
  const { STORAGE, COPY_DST, COPY_SRC, UNIFORM } = GPUBufferUsage;
  const found = device.createBuffer({ size: 8, usage: STORAGE | COPY_DST | COPY_SRC });
  const params = device.createBuffer({ size: 16, usage: UNIFORM | STORAGE | COPY_DST });
  device.queue.writeBuffer(params, 0, encodeParams(subgroupProbe.params, { unused: 0 }));
  const readback = new Readback(device);
  try {
    const encoder = device.createCommandEncoder({ label: "subgroup probe" });
    const pass = encoder.beginComputePass();
    const entries = [params, found].map((buffer, binding) => ({ binding, resource: { buffer } }));
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, device.createBindGroup({ layout: layouts.buffers, entries }));
    pass.dispatchWorkgroups(1);
    pass.end();
    const read = readback.encode(encoder, [{ buffer: found, byteOffset: 0, bytes: 8 }]);
    device.queue.submit([encoder.finish()]);
    const [strange, all] = new Uint32Array(await read());
    return strange === 0 && all === constants.LANES! * constants.ROWS!;
  } finally {
    readback.dispose();
    found.destroy();
    params.destroy();
  }
}
