import { SluiceError } from "../../errors.ts";
import { activationHistory } from "./activation-history.ts";
import { decoupled, hash, preAttention, preGate } from "./exact.ts";
import { nextLayer } from "./next-layer.ts";
import type { Predictor, RouterInput } from "./predictor.ts";
import { previousToken } from "./previous-token.ts";
import { tokenTable } from "./token-table.ts";

/** Every predictor, by name. To add one: write its file and name it here. */
export const predictors = {
  "pre-attention": preAttention,
  "pre-gate": preGate,
  decoupled,
  hash,
  "next-layer": nextLayer,
  "previous-token": previousToken,
  "token-table": tokenTable,
  "activation-history": activationHistory,
} as const satisfies Record<string, Predictor>;

/** The name of a predictor. */
export type PredictorName = keyof typeof predictors;

/** The exact predictor of a router input, and "none" where nothing is known ahead: guesses must be asked for. */
export function defaultPredictor(routerInput: RouterInput): PredictorName | "none" {
  return predictorNames().find((name) => knows(name, routerInput)) ?? "none";
}

/**
 * The predictor of a name, if it can serve a model with that router input. Throws "bad-input" when it cannot: an exact
 * predictor only knows what its own kind of router does.
 */
export function predictorFor(name: PredictorName, routerInput: RouterInput): Predictor {
  const predictor: Predictor = predictors[name];
  if (predictor.kind === "guess" || knows(name, routerInput)) return predictor;
  const exact = defaultPredictor(routerInput);
  const guessing = predictorNames().filter((other) => predictors[other].kind === "guess");
  throw new SluiceError(
    "bad-input",
    `The predictor "${name}" knows routers whose input is "${predictor.routerInput}"; this model's is ` +
      `"${routerInput}". Use "auto" (here: ${exact}), or a guessing one: ${guessing.join(", ")}.`,
  );
}

function knows(name: PredictorName, routerInput: RouterInput): boolean {
  const predictor: Predictor = predictors[name];
  return predictor.kind === "exact" && predictor.routerInput === routerInput;
}

function predictorNames(): PredictorName[] {
  return Object.keys(predictors) as PredictorName[];
}
