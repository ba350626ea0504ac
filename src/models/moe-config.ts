import { SluiceError } from "../errors.ts";
import type { MoeSpec, ScoreName } from "../ops/ops.ts";
import { type DecoderConfig, readCount, unsupported } from "./decoder-config.ts";
import type { DecoderLayers } from "./decoder-tensors.ts";
import type { ModelFile } from "./model.ts";

/** Score functions by their number in files: llama.cpp's `llama_expert_gating_func_type`. 0 stands for "not set". */
const SCORES: readonly (ScoreName | undefined)[] = [
  undefined,
  "softmax",
  "sigmoid",
  "softmax-after-top-k",
  "sqrt-softplus",
];

/** The score function that a file names, or `otherwise`. Throws "unsupported-model" for a number that none has. */
export function readScore(
  { metadata }: ModelFile,
  config: DecoderConfig,
  otherwise: ScoreName,
): ScoreName {
  const key = `${config.architecture}.expert_gating_func`;
  const number = metadata.optionalNumber(key) ?? 0;
  if (number === 0) return otherwise;
  const score = SCORES[number];
  if (score) return score;
  throw unsupported(config, `has gating function ${number} (${key})`);
}

/**
 * The groups of experts that a file chooses within; none when it has one or no group. Throws "bad-file" unless groups
 * are alike, at least two experts each, and the best of them have experts enough.
 */
export function readGroups(
  { metadata }: ModelFile,
  { architecture }: DecoderConfig,
  { experts, topK }: Pick<MoeSpec, "experts" | "topK">,
): Pick<MoeSpec, "groups"> {
  const countKey = `${architecture}.expert_group_count`;
  const keepKey = `${architecture}.expert_group_used_count`;
  const count = metadata.optionalNumber(countKey) ?? 0;
  if (count <= 1) return {};
  const keep = readCount(metadata, keepKey, count);
  const size = experts / count;
  if (Number.isInteger(size) && size >= 2 && keep * size >= topK)
    return { groups: { count, keep } };
  throw new SluiceError(
    "bad-file",
    `${countKey} is ${count} and ${keepKey} is ${keep}, for ${experts} experts of which ${topK} are chosen; wanted ` +
      "groups of one size, two experts or more, and in those that are kept as many as are chosen.",
  );
}

/** The bias of the choice of a layer's experts, where the file has one. */
export function selectionBias(file: ModelFile, layer: number): Pick<MoeSpec, "selectionBias"> {
  const name = `blk.${layer}.exp_probs_b.bias`;
  return file.shape(name) ? { selectionBias: name } : {};
}

/** How many of the first layers have a dense network. Throws "bad-file" for more than there are. */
export function readDenseLead(
  { metadata }: ModelFile,
  { architecture, layers }: DecoderConfig,
): number {
  const key = `${architecture}.leading_dense_block_count`;
  const lead = metadata.optionalNumber(key) ?? 0;
  if (Number.isInteger(lead) && lead >= 0 && lead <= layers) return lead;
  throw new SluiceError("bad-file", `${key} is ${lead}; the model has ${layers} layers.`);
}

/** The layers of a decoder whose layers without experts are dense, and those with experts have shared ones so wide. */
export function withDenseOthers(
  { metadata }: ModelFile,
  { architecture }: DecoderConfig,
  layers: Pick<DecoderLayers, "attention" | "moe"> & { readonly shared: number },
): DecoderLayers {
  const { attention, moe, shared } = layers;
  const withExperts = new Set(moe.map(({ layer }) => layer));
  const others = attention.filter(({ layer }) => !withExperts.has(layer));
  const ffn = others.length > 0 ? readCount(metadata, `${architecture}.feed_forward_length`) : 0;
  return {
    attention,
    moe,
    dense: new Map(others.map(({ layer }) => [layer, ffn])),
    shared: new Map(shared > 0 ? moe.map(({ layer }) => [layer, shared]) : []),
  };
}

/** The config of a file without the layers at its end that predict further tokens: they are neither loaded nor run. */
export function withoutPrediction(file: ModelFile, config: DecoderConfig): DecoderConfig {
  const key = `${config.architecture}.nextn_predict_layers`;
  const predicting = file.metadata.optionalNumber(key) ?? 0;
  const layers = config.layers - predicting;
  if (Number.isInteger(layers) && layers >= 1 && predicting >= 0) return { ...config, layers };
  throw new SluiceError(
    "bad-file",
    `${key} is ${predicting} of ${config.layers} layers; wanted a whole number below that.`,
  );
}
