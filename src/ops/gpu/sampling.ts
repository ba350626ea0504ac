import { argmax } from "../../kernels/argmax.ts";
import { logprob } from "../../kernels/logprob.ts";
import type { Program, Step } from "../program.ts";
import type { GpuTensor, Recording } from "./recording.ts";

/** Picks what was recorded behind the logits out of a program's steps. */
export type ChooserSteps = (steps: readonly Step[]) => Pick<Program, "choosers" | "scorer">;

/**
 * Records every way to choose a token from logits `[vocab]` and, if wanted, what scores a given one. None of them is a
 * step of the pass: which are encoded behind it is up to who runs it.
 */
export function recordChoosers(
  { gpu, recorder }: Recording,
  { scratch: logits, width: vocab }: GpuTensor,
  { scores }: { readonly scores: boolean },
): ChooserSteps {
  const top = recorder.length;
  recorder.dispatch(argmax, {
    params: { vocab },
    buffers: { logits, reply: gpu.reply, result: gpu.result },
  });
  const scorer = recorder.length;
  if (scores) {
    recorder.dispatch(logprob, { params: { vocab }, buffers: { logits, scores: gpu.scores } });
  }
  return (steps) => ({
    choosers: { top: [steps[top]!] },
    scorer: scores ? steps[scorer]! : undefined,
  });
}
