import type { ExactPredictor } from "./predictor.ts";

/** Routers that read the residual stream before attention (SmallThinker): loads overlap with attention. */
export const preAttention: ExactPredictor = { kind: "exact", routerInput: "pre-attention" };

/** Routers that read the previous MoE layer's input (Pre-gated MoE): loads overlap with a whole layer. */
export const preGate: ExactPredictor = { kind: "exact", routerInput: "previous-layer" };

/** One router beside the model (Read-ME): every layer's experts are known before the pass. */
export const decoupled: ExactPredictor = { kind: "exact", routerInput: "decoupled" };

/** Experts that are a function of the token id (Hash layers): known as soon as the token is. */
export const hash: ExactPredictor = { kind: "exact", routerInput: "token" };
