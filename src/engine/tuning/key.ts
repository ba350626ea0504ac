import type { CacheFormatName } from "../../formats/cache/registry.ts";
import type { WeightFormat } from "../../formats/format.ts";
import { type Accuracy, accuracies } from "../../formats/input/registry.ts";
import { blockParts, weightParts } from "../../formats/parts.ts";
import { weightFormats } from "../../formats/registry.ts";
import type { GgufFile } from "../../gguf/gguf.ts";
import { kernels } from "../../kernels/index.ts";
import { candidates } from "../../kernels/parts.ts";
import type { ModelSpec } from "../../models/model.ts";
import { xxh32 } from "../../numeric/checksum.ts";
import type { TunedDevice, VariantChoice } from "./choices.ts";

/** What a tuning holds for. */
export interface TuningKeyParts {
  readonly adapterName: string;
  readonly device: TunedDevice;
  /** What compiles the shaders, with its version. */
  readonly runtime: string;
  readonly file: Pick<GgufFile, "tensors">;
  readonly spec: ModelSpec;
  readonly kvCache: CacheFormatName;
  readonly accuracy: Accuracy;
  readonly pinned: Partial<VariantChoice>;
}

/**
 * Names a tuning by what it depends on: adapter, runtime, the text of all kernels, the shapes and formats of the model,
 * what its products multiply, and what was pinned. Nothing that changes while a model is used or from one load to the next:
 * no budget, no policy, no length of context.
 */
export function tuningKey(parts: TuningKeyParts): string {
  const { adapterName, device, runtime, accuracy, pinned } = parts;
  return [
    `${adapterName} (${device.leastSubgroup ?? "no"} subgroups)`,
    runtime,
    `kernels ${hash(kernelTexts())}`,
    `model ${modelShape(parts)}`,
    `products in ${accuracy}`,
    ...(Object.keys(pinned).length > 0 ? [`pinned ${JSON.stringify(pinned)}`] : []),
  ].join(" | ");
}

/** Names a model by its shapes and formats. Models of one size and scheme are alike here, whatever they learned. */
export function modelShape({
  file,
  spec,
  kvCache,
}: Pick<TuningKeyParts, "file" | "spec" | "kvCache">): string {
  const { architecture, hidden, vocab, layers, moe, attention, recurrent } = spec;
  const tensors = [...file.tensors.values()].map(({ name, shape, ggmlType }) => [
    name,
    shape,
    ggmlType,
  ]);
  const shapes = { architecture, hidden, vocab, layers, moe, attention, recurrent };
  return hash(JSON.stringify({ shapes, tensors, kvCache }));
}

/** Everything that may change how fast a kernel is. */
function kernelTexts(): string {
  const sources = kernels.map(({ name, source }) => [name, source]);
  const formats = Object.values<WeightFormat>(weightFormats).map((format) => [
    weightParts(format),
    ...(format.blockParts ? [blockParts(format)] : []),
  ]);
  return JSON.stringify([sources, formats, accuracies, candidates]);
}

function hash(text: string): string {
  return xxh32(new TextEncoder().encode(text)).toString(16).padStart(8, "0");
}
