import { describe, expect } from "vitest";
import { repackMatrix, type WeightFormat } from "../../src/formats/format.ts";
import { weightParts } from "../../src/formats/parts.ts";
import { weightFormats } from "../../src/formats/registry.ts";
import { linkWgsl } from "../../src/gpu/link.ts";
import { softwareParts } from "../../src/gpu/software-parts.ts";
import { createRandom, normalArray } from "../../src/numeric/random.ts";
import { gpuTest } from "../helpers/gpu.ts";
import golden from "../node/formats/golden.json";

const UNIT_WEIGHTS = 8;
const WORKGROUP_SIZE = 64;
/** The word at which the matrix under test starts; other bytes lie before and after it. */
const BASE = 12;

const UNPACK = `
override BASE: u32;
override COUNT: u32;

@group(0) @binding(0) var<storage, read_write> result: array<vec4f>;

@compute @workgroup_size(${WORKGROUP_SIZE})
fn main(@builtin(global_invocation_id) thread: vec3u) {
  let unit = thread.x;
  if (unit >= COUNT / ${UNIT_WEIGHTS}u) {
    return;
  }
  let loaded = load_weights(BASE, COUNT, unit);
  result[2u * unit] = loaded[0];
  result[2u * unit + 1u] = loaded[1];
}
`;

const vectors: Record<string, { readonly decode: { readonly blocks: string } } | undefined> =
  golden;

/** How a device links a format's parts. */
const WAYS = [
  ["as they are", (parts: readonly string[]) => parts],
  [
    "for software",
    (parts: readonly string[]) => parts.map((part) => softwareParts.get(part) ?? part),
  ],
] as const;

const CASES = Object.values(weightFormats).flatMap((format) =>
  WAYS.map(([way, link]) => ({ name: `${format.name}, parts ${way}`, format, link })),
);

describe.for(CASES)("$name", ({ format, link }) => {
  gpuTest(
    "loads what decode gives, in a matrix with an odd number of blocks",
    async ({ device }) => {
      const weights = Math.max(format.blockWeights, UNIT_WEIGHTS) * 7;
      const blocks = format.encode(normalArray(createRandom(1), weights, 0.02));

      const loaded = await unpack(device, format, blocks, link(weightParts(format)));

      expect(loaded).toEqual(expected(format.decode(blocks), loaded));
    },
  );
});

// A plain number may be subnormal there, and a GPU may take it for 0.
const withScales = CASES.filter(({ format }) => format.blockWeights > 1);

describe.for(withScales)("$name, with extreme scales", ({ format, link }) => {
  gpuTest("loads what decode gives", async ({ device }) => {
    const text = atob(vectors[format.name]!.decode.blocks);
    const blocks = Uint8Array.from(text, (character) => character.charCodeAt(0));

    const loaded = await unpack(device, format, blocks, link(weightParts(format)));

    expect(loaded).toEqual(expected(format.decode(blocks), loaded));
  });
});

/**
 * The largest weight that may be lost. A GPU may take a number below 2^-126 for 0; of the formats with scales only MXFP4
 * has such: its scales 2^-128 and 2^-127, and with them a block's weights, the largest of which is 12 scales. Scales
 * that are f16 give 2^-24 or more.
 */
const LARGEST_LOST = 12 * 2 ** -127;

/** What a shader must give for `weights`: a GPU may lose a subnormal, and the sign of a zero. */
function expected(weights: Float32Array, loaded: Float32Array): Float32Array {
  return weights.map((weight, i) =>
    loaded[i] === 0 && Math.abs(weight) <= LARGEST_LOST ? 0 : weight + 0,
  );
}

/** All weights of `blocks` as a shader gets them by `load_weights`. */
async function unpack(
  device: GPUDevice,
  format: WeightFormat,
  blocks: Uint8Array,
  parts: readonly string[],
): Promise<Float32Array> {
  const count = (blocks.length / format.blockBytes) * format.blockWeights;
  const matrix = repackMatrix(format, blocks);
  const words = new Uint8Array(4 * BASE + matrix.length + 16).fill(0xa5);
  words.set(matrix, 4 * BASE);
  const weights = device.createBuffer({
    size: words.length,
    usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST,
  });
  device.queue.writeBuffer(weights, 0, words);
  const result = device.createBuffer({
    size: 4 * count,
    usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC,
  });
  const readback = device.createBuffer({
    size: 4 * count,
    usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ,
  });
  const pipeline = await device.createComputePipelineAsync({
    label: `unpack ${format.name}`,
    layout: "auto",
    compute: {
      module: device.createShaderModule({ code: linkWgsl([UNPACK, ...parts]) }),
      constants: { BASE, COUNT: count },
    },
  });

  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  for (const [group, buffer] of [result, weights].entries()) {
    const layout = pipeline.getBindGroupLayout(group);
    const entries = [{ binding: 0, resource: { buffer } }];
    pass.setBindGroup(group, device.createBindGroup({ layout, entries }));
  }
  pass.dispatchWorkgroups(Math.ceil(count / UNIT_WEIGHTS / WORKGROUP_SIZE));
  pass.end();
  encoder.copyBufferToBuffer(result, 0, readback, 0, 4 * count);
  device.queue.submit([encoder.finish()]);
  await readback.mapAsync(GPUMapMode.READ);
  return new Float32Array(readback.getMappedRange().slice(0)).map((weight) => weight + 0);
}
