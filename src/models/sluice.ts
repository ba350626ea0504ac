import { SluiceError } from "../errors.ts";
import type { Activation, AttentionSpec, MoeSpec, Ops, RouterInput, Routing } from "../ops/ops.ts";
import {
  attentionBlock,
  attentionLayers,
  type BesideLayers,
  decoderSpec,
  finish,
  moeLayers,
} from "./decoder.ts";
import { blockWeight, type DecoderConfig, readCount, readDecoder } from "./decoder-config.ts";
import { attentionTensors } from "./decoder-tensors.ts";
import type { Architecture, ModelFile } from "./model.ts";

/** The tensors of the network that a decoupled router reads. */
const ROUTE_NORM = "route_norm.weight";
const routeWeight = (part: string) => `route_${part}.weight`;

/** How one layer's choice is made: what every layer knows, and what the layer before has left for it. */
interface Pass<Tensor, Choice> {
  x: Tensor;
  /** The choice of the next layer, where it was made ahead. */
  readonly ahead: Map<MoeSpec, Choice>;
}

/**
 * Models of this project's own (`tools/train`): ReGLU experts with sigmoid scores as in SmallThinker, and a router that
 * reads what `sluice.router_input` says. `blk.N.ffn_gate_inp` is the router whose choice block N's experts use.
 *
 * `previous-layer`: from the second block on the router reads the normed input of the experts before (Pre-gated MoE,
 * arXiv 2308.12066); the first block's reads its own. `decoupled`: all routers read one attention block over the
 * embeddings, before the first layer (after Read-ME, NeurIPS 2024). `token`: `blk.N.ffn_gate_tid2eid` `[vocab, topK]`
 * has the experts of each token id, and they count alike (Hash Layers, arXiv 2106.04426); no router is computed.
 */
export const sluice: Architecture = {
  read(file) {
    const config = readDecoder(file, "sluice", "half-split");
    const routerInput = readRouterInput(file);
    const attention = attentionLayers(config);
    const moe = moeLayers(file, config, {
      ffn: readCount(file.metadata, "sluice.expert_feed_forward_length"),
      routerInput,
      score: "sigmoid",
      renormalise: true,
      activation: "relu",
    }).map((spec) => (routerInput === "token" ? byTable(spec) : spec));
    const beside = routerInput === "decoupled" ? routerNetwork(config, attention[0]!) : undefined;
    const forward = <Tensor extends Activation, Choice extends Routing>(
      ops: Ops<Tensor, Choice>,
    ) => {
      const pass: Pass<Tensor, Choice> = { x: ops.embed("token_embd.weight"), ahead: new Map() };
      if (beside) decideAll(ops, pass, moe, beside.attention[0]!, config);
      if (routerInput === "token") {
        for (const spec of moe) pass.ahead.set(spec, ops.routeByToken(spec));
      }
      for (const [layer, spec] of moe.entries()) {
        runLayer(ops, pass, { attention: attention[layer]!, spec, next: moe[layer + 1] }, config);
      }
      finish(ops, pass.x, config);
    };
    return decoderSpec(config, { attention, moe }, forward, beside);
  },
};

/** Every layer's choice, before the first one is computed. */
function decideAll<Tensor extends Activation, Choice extends Routing>(
  ops: Ops<Tensor, Choice>,
  pass: Pass<Tensor, Choice>,
  moe: readonly MoeSpec[],
  attention: AttentionSpec,
  { epsilon }: DecoderConfig,
): void {
  const state = attentionBlock(ops, pass.x, attention, epsilon, routeWeight); // [tokens, hidden]
  const normed = ops.rmsNorm(state, ROUTE_NORM, epsilon);
  for (const spec of moe) pass.ahead.set(spec, ops.route(normed, spec));
}

function runLayer<Tensor extends Activation, Choice extends Routing>(
  ops: Ops<Tensor, Choice>,
  pass: Pass<Tensor, Choice>,
  layer: { attention: AttentionSpec; spec: MoeSpec; next: MoeSpec | undefined },
  { epsilon }: DecoderConfig,
): void {
  const { attention, spec, next } = layer;
  if (spec.routerInput === "pre-attention") pass.ahead.set(spec, ops.route(pass.x, spec));
  const x = attentionBlock(ops, pass.x, attention, epsilon);
  const normed = ops.rmsNorm(x, blockWeight(spec.layer, "ffn_norm"), epsilon); // [tokens, hidden]
  const choice = pass.ahead.get(spec) ?? ops.route(normed, spec);
  if (spec.routerInput === "previous-layer" && next) pass.ahead.set(next, ops.route(normed, next));
  pass.x = ops.experts(normed, choice, spec, { residual: x });
}

/** The layer with the table of token ids in the place of its router's matrix. */
function byTable(spec: MoeSpec): MoeSpec {
  return { ...spec, router: blockWeight(spec.layer, "ffn_gate_tid2eid") };
}

/** The attention block that a decoupled router has beside the layers. */
function routerNetwork(config: DecoderConfig, like: AttentionSpec): BesideLayers {
  const { fused: _, biases: __, ...alike } = like;
  const attention = { ...alike, layer: config.layers };
  const resident = attentionTensors(attention, config.hidden, routeWeight);
  return {
    attention: [attention],
    resident: [...resident, { name: ROUTE_NORM, shape: [config.hidden] }],
  };
}

const ROUTER_INPUTS: readonly RouterInput[] = [
  "post-attention",
  "pre-attention",
  "previous-layer",
  "decoupled",
  "token",
];

function readRouterInput({ metadata }: ModelFile): RouterInput {
  const named = metadata.optionalString("sluice.router_input");
  const found = ROUTER_INPUTS.find((input) => input === named);
  if (found) return found;
  throw new SluiceError(
    "bad-file",
    `sluice.router_input is ${named === undefined ? "missing" : JSON.stringify(named)}; wanted one of ${ROUTER_INPUTS.join(", ")}.`,
  );
}
