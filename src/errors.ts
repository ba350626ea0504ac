/** What can go wrong that a caller can meet and act on. The list is closed: a switch over it can be exhaustive. */
export const SLUICE_ERROR_CODES = [
  "aborted",
  "bad-file",
  "bad-input",
  "budget-too-small",
  "context-full",
  "device-lost",
  "engine-state",
  "gpu-error",
  "missing-feature",
  "no-adapter",
  "not-found",
  "network",
  "out-of-memory",
  "shader-invalid",
  "shape-mismatch",
  "truncated-file",
  "unsupported-format",
  "unsupported-model",
  "unsupported-tokenizer",
  "worker-died",
] as const;

/** A `code` of a {@link SluiceError}. */
export type SluiceErrorCode = (typeof SLUICE_ERROR_CODES)[number];

/** Every failure that a user of Sluice can meet: a code to branch on and a sentence that says what to do. */
export class SluiceError extends Error {
  override readonly name = "SluiceError";
  readonly code: SluiceErrorCode;

  /** @param message what happened, what was got, what was wanted, and what to do */
  constructor(code: SluiceErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** The {@link SluiceError} that stands for a cancelled call. */
export function abortError(what: string): SluiceError {
  return new SluiceError("aborted", `${what} was stopped because its AbortSignal fired.`);
}

/** Throws "aborted" if `signal` has fired. */
export function throwIfAborted(signal: AbortSignalLike | undefined, what: string): void {
  if (signal?.aborted) throw abortError(what);
}

/** The part of `AbortSignal` that code without DOM types may look at. */
export interface AbortSignalLike {
  readonly aborted: boolean;
}
