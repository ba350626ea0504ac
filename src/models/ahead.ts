import type { Activation, Ops, Routing } from "../ops/ops.ts";
import { attentionBlock, moeBlock } from "./decoder.ts";
import { blockWeight, type DecoderConfig } from "./decoder-config.ts";
import { blockTensors, type DecoderLayers } from "./decoder-tensors.ts";
import type { AheadSpec, ModelFile, TensorSpec } from "./model.ts";

/** Tensors of a block that a file may leave to the model's own, and where it stands for those. */
interface SharedTensors {
  readonly embedding: string;
  readonly head: string;
  readonly finalNorm: string;
}

/**
 * The block that predicts a further token, or undefined where the file does not have its tensors: conversions may leave
 * them out. Its layer has attention and experts like the model's.
 * Source: `modeling_bailing_moe_v2.py` of Ling 2.0 (`BailingMoeV2MTPLayer`); DeepSeek-V3, arXiv 2412.19437, section 2.2.
 *
 * @param layers the one layer: its number is that behind the model's last
 */
export function readAhead(
  file: ModelFile,
  config: DecoderConfig,
  layers: DecoderLayers,
): AheadSpec | undefined {
  const [attention] = layers.attention;
  const [moe] = layers.moe;
  if (!attention || !moe) throw new Error("unreachable: a block without its layer");
  const { layer } = attention;
  const { hidden, vocab, epsilon } = config;
  const own = (part: string) => blockWeight(layer, `nextn.${part}`);
  if (!file.shape(own("eh_proj"))) return undefined;
  const tensors = sharedTensors(file, config, layer);
  const { resident, stacked } = blockTensors(config, layers, [layer]);
  const shared = layers.shared?.has(layer) ? "plain" : "none";
  return {
    attention: layers.attention,
    moe: layers.moe,
    resident: [
      ...resident,
      ...joinTensors(own, hidden),
      { name: tensors.embedding, shape: [vocab, hidden] },
      { name: tensors.head, shape: [vocab, hidden] },
      { name: tensors.finalNorm, shape: [hidden] },
    ],
    stacked,
    forward(ops, stream) {
      let x = join(ops, stream, config, { own, embedding: tensors.embedding });
      x = attentionBlock(ops, x, attention, epsilon);
      x = moeBlock(ops, x, moe, epsilon, { shared });
      const last = ops.rmsNorm(ops.lastToken(x), tensors.finalNorm, epsilon); // [1, hidden]
      ops.logits(ops.linear(last, tensors.head)); // [1, vocab]
    },
  };
}

function joinTensors(own: (part: string) => string, hidden: number): TensorSpec[] {
  return [
    { name: own("eh_proj"), shape: [hidden, 2 * hidden] },
    { name: own("enorm"), shape: [hidden] },
    { name: own("hnorm"), shape: [hidden] },
  ];
}

/** `project(norm(embedding) and norm(what the model's head reads))`. -> `[tokens, hidden]` */
function join<Tensor extends Activation, Choice extends Routing>(
  ops: Ops<Tensor, Choice>,
  stream: Tensor,
  { finalNorm, epsilon }: DecoderConfig,
  { own, embedding }: { readonly own: (part: string) => string; readonly embedding: string },
): Tensor {
  const embedded = ops.rmsNorm(ops.embed(embedding), own("enorm"), epsilon); // [tokens, hidden]
  const state = ops.rmsNorm(ops.rmsNorm(stream, finalNorm, epsilon), own("hnorm"), epsilon);
  return ops.linear(ops.concat(embedded, state), own("eh_proj")); // [tokens, hidden]
}

function sharedTensors(file: ModelFile, config: DecoderConfig, layer: number): SharedTensors {
  const first = (...names: readonly string[]) => names.find((name) => file.shape(name));
  const own = (part: string) => blockWeight(layer, `nextn.${part}`);
  return {
    embedding: first(own("embed_tokens")) ?? "token_embd.weight",
    head: first(own("shared_head_head")) ?? config.head,
    finalNorm:
      first(blockWeight(layer, "layer_output_norm"), own("shared_head_norm")) ?? config.finalNorm,
  };
}
