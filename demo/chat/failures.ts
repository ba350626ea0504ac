import { SluiceError, type SluiceErrorCode } from "../../src/index.ts";

/** What a person can do about a failure, by the name of a button. */
export type Remedy = "load-again" | "load-bundled" | "reload" | "restart" | "new-chat";

/** A failure as the page shows it. */
export interface Failure {
  readonly title: string;
  /** What to do, in a sentence or two. */
  readonly advice: string;
  /** What the engine said, for whoever wants to know more. */
  readonly detail: string;
  readonly remedies: readonly Remedy[];
}

type Explanation = Omit<Failure, "detail">;

const ANOTHER_MODEL =
  "Choose another file under Model, or use the bundled model, which is known to work.";

const EXPLANATIONS: Readonly<Record<Exclude<SluiceErrorCode, "aborted">, Explanation>> = {
  "no-adapter": {
    title: "This browser gives the page no GPU.",
    advice:
      "WebGPU was asked for and is not here. Choose Automatic or WebAssembly under Settings, What computes, and try again. For WebGPU, use a current Chrome, Edge, Firefox or Safari over https or from localhost, with hardware acceleration on in the browser's settings.",
    remedies: ["load-again"],
  },
  "missing-feature": {
    title: "This browser or device lacks something the model needs.",
    advice:
      "Update the browser and the graphics driver, choose something else under Settings, What computes, or try another device.",
    remedies: ["restart", "load-bundled"],
  },
  "device-lost": {
    title: "The GPU went away.",
    advice:
      "The driver may have restarted, or the device ran short of memory. Your conversation is kept: reload the model, with a smaller share of the experts if it happens again.",
    remedies: ["reload"],
  },
  "gpu-error": {
    title: "Something went wrong while computing.",
    advice:
      "What it computed cannot be trusted any more. Your conversation is kept: reload the model, and try another browser if it happens again.",
    remedies: ["reload"],
  },
  "out-of-memory": {
    title: "There is too little free memory.",
    advice:
      "Move the memory slider to the left and load the model again, or close other pages that take memory.",
    remedies: ["load-again", "load-bundled"],
  },
  "budget-too-small": {
    title: "The model does not fit in that share of memory.",
    advice: "Move the memory slider to the right and load the model again.",
    remedies: ["load-again", "load-bundled"],
  },
  "context-full": {
    title: "This conversation is as long as the model can read.",
    advice: "Start a new chat. What you were about to ask stays in the message box.",
    remedies: ["new-chat"],
  },
  "not-found": {
    title: "A file is missing.",
    advice:
      "An address must lead to the .gguf file itself, on Hugging Face one with /resolve/ in it. Of a model in several files all are needed: choose them together.",
    remedies: ["load-again", "load-bundled"],
  },
  network: {
    title: "The file could not be fetched.",
    advice:
      "Check the connection and the address. The host must also allow other pages to read the file (CORS), as Hugging Face does.",
    remedies: ["load-again", "load-bundled"],
  },
  "bad-file": {
    title: "This is not a GGUF file that can be read.",
    advice: ANOTHER_MODEL,
    remedies: ["load-bundled"],
  },
  "truncated-file": {
    title: "This file ends too early.",
    advice: "Download it again, to the end, then load it.",
    remedies: ["load-again", "load-bundled"],
  },
  "unsupported-model": {
    title: "This kind of model is not supported yet.",
    advice: ANOTHER_MODEL,
    remedies: ["load-bundled"],
  },
  "unsupported-format": {
    title: "The weights of this file have a format that is not supported yet.",
    advice: `Many models also come as Q4_0, Q4_K_M or Q8_0. ${ANOTHER_MODEL}`,
    remedies: ["load-bundled"],
  },
  "unsupported-tokenizer": {
    title: "The tokenizer of this file is not supported yet.",
    advice: ANOTHER_MODEL,
    remedies: ["load-bundled"],
  },
  "worker-died": {
    title: "The engine stopped.",
    advice: "Your conversation is kept. Restart the engine to go on.",
    remedies: ["restart"],
  },
  "engine-state": {
    title: "The engine was not ready for that.",
    advice: "Try again in a moment. If that does not help, restart the engine.",
    remedies: ["restart"],
  },
  "bad-input": {
    title: "The engine could not use that.",
    advice: "Check the settings and the message, then try again.",
    remedies: [],
  },
  "shader-invalid": {
    title: "The browser refused a program for the GPU.",
    advice:
      "This is a fault of Sluice or of the browser. Try another browser, and please report it.",
    remedies: ["restart"],
  },
  "shape-mismatch": {
    title: "The tensors of this file do not fit together.",
    advice: ANOTHER_MODEL,
    remedies: ["load-bundled"],
  },
};

const UNKNOWN: Explanation = {
  title: "Something went wrong in the engine.",
  advice: "Your conversation is kept. Restart the engine to go on.",
  remedies: ["restart"],
};

const ENDING: ReadonlySet<SluiceErrorCode> = new Set([
  "device-lost",
  "gpu-error",
  "worker-died",
  "shader-invalid",
  "no-adapter",
]);

/** Whether `error` only says that the person stopped something. */
export function isAbort(error: unknown): boolean {
  return error instanceof SluiceError && error.code === "aborted";
}

/** Whether the engine cannot go on after `error`, so that only another worker helps. */
export function endsEngine(error: unknown): boolean {
  return !(error instanceof SluiceError) || ENDING.has(error.code);
}

/** What the page says about `error`. */
export function describeFailure(error: unknown): Failure {
  const known = error instanceof SluiceError && error.code !== "aborted";
  const explanation = known ? EXPLANATIONS[error.code as keyof typeof EXPLANATIONS] : UNKNOWN;
  return { ...explanation, detail: detailOf(error) };
}

/** What the page says when something could not be done to what is kept. The model that is loaded goes on. */
export function describeStorageFailure(title: string, error: unknown): Failure {
  if (error instanceof SluiceError) {
    return { title, advice: error.message, detail: error.code, remedies: [] };
  }
  const advice = "Close other tabs of this page, then try again.";
  return { title, advice, detail: detailOf(error), remedies: [] };
}

/** Why a budget did not become what was asked for, in a sentence or two. */
export function describeRefusal(error: unknown): string {
  const reason = error instanceof SluiceError ? error.message : detailOf(error);
  return `The budget stays as it was. ${reason}`;
}

function detailOf(error: unknown): string {
  if (error instanceof SluiceError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
