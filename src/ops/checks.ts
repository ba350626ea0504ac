import { SluiceError } from "../errors.ts";

/** Throws "shape-mismatch" unless an activation is as wide as the weights want it. */
export function checkWidth(name: string, got: number, wanted: number): void {
  if (got !== wanted) {
    throw new SluiceError(
      "shape-mismatch",
      `${name}: the activation is ${got} wide, the weights want ${wanted}. The model file does not fit its architecture.`,
    );
  }
}

/** Throws "shape-mismatch" unless an activation, or the part of it for each head, has room for what is read of it. */
export function checkLeast(name: string, got: number, least: number): void {
  if (got < least) {
    throw new SluiceError(
      "shape-mismatch",
      `${name}: ${got} values are there, at least ${least} are wanted. The model file does not fit its architecture.`,
    );
  }
}

/** Throws "unsupported-model" unless `got` is a multiple of `factor`. */
export function checkMultiple(what: string, got: number, factor: number): void {
  if (got % factor === 0) return;
  throw new SluiceError(
    "unsupported-model",
    `${what} is ${got}; Sluice's kernels need a multiple of ${factor}. Use another model.`,
  );
}

/** Throws "unsupported-model" if `got` is more than `most`. */
export function checkMost(what: string, got: number, most: number): void {
  if (got <= most) return;
  throw new SluiceError(
    "unsupported-model",
    `${what} is ${got}; Sluice's kernels take at most ${most}. Use another model.`,
  );
}

/** Throws "shape-mismatch" unless a vector of weights has as many values as the model wants. */
export function checkVector(name: string, got: number, wanted: number): void {
  if (got === wanted) return;
  throw new SluiceError(
    "shape-mismatch",
    `${name} has ${got} values, the model wants ${wanted}. The model file does not fit its architecture.`,
  );
}
