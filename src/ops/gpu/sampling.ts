import { argmax } from "../../kernels/argmax.ts";
import { countLogits } from "../../kernels/count_logits.ts";
import { logprob } from "../../kernels/logprob.ts";
import { pickToken } from "../../kernels/pick_token.ts";
import { BIN_WORDS, logitBlocks, PEAK_BYTES } from "../../kernels/sampling.ts";
import { shapeLogits } from "../../kernels/shape_logits.ts";
import { sumWeights } from "../../kernels/sum_weights.ts";
import type { ChooserName, Program, Step } from "../program.ts";
import type { GpuTensor, Recording } from "./recording.ts";

/** Picks what was recorded behind the logits out of a program's steps. */
export type ChooserSteps = (steps: readonly Step[]) => Pick<Program, "choosers" | "scorer">;

/** Up to so many logits one workgroup finds the highest; with more, a workgroup a block is faster than one dispatch. */
const SMALL_VOCAB = 8192;

/** Tables of `count_logits`. */
const [COARSE, FINE_K, FINE_P] = [0, 1, 2];

/**
 * Records every way to choose a token from logits `[vocab]` and, if wanted, what scores a given one. None of them is a
 * step of the pass: which are encoded behind it is up to who runs it.
 */
export function recordChoosers(
  recording: Recording,
  x: GpuTensor,
  { scores }: { readonly scores: boolean },
): ChooserSteps {
  const { gpu, recorder } = recording;
  const vocab = x.width;
  const chains = recordChains(recording, x);
  const scorer = recorder.length;
  if (scores) {
    recorder.dispatch(logprob, {
      params: { vocab },
      buffers: { logits: x.scratch, scores: gpu.scores },
    });
  }
  return (steps) => {
    const chain = (name: ChooserName) => chains[name].map((step) => steps[step]!);
    return {
      choosers: {
        top: chain("top"),
        penalised: chain("penalised"),
        drawn: chain("drawn"),
        drawnTopK: chain("drawnTopK"),
        drawnTopP: chain("drawnTopP"),
        drawnTopKP: chain("drawnTopKP"),
      },
      scorer: scores ? steps[scorer]! : undefined,
    };
  };
}

/** Records what the choosers have in common, and gives the steps of each. */
function recordChains(
  { gpu, recorder }: Recording,
  { scratch: logits, width: vocab }: GpuTensor,
): Readonly<Record<ChooserName, readonly number[]>> {
  const { reply, seen, result } = gpu;
  const blocks = logitBlocks(vocab);
  const peaks = recorder.scratch(PEAK_BYTES * blocks);
  const bins = recorder.scratch(4 * BIN_WORDS);
  const sums = recorder.scratch(4 * blocks);
  const record = (dispatch: () => void): number => {
    dispatch();
    return recorder.length - 1;
  };
  const shape = (penalises: 0 | 1) =>
    record(() =>
      recorder.dispatch(shapeLogits, {
        params: { vocab, penalises, bin_words: BIN_WORDS },
        buffers: { reply, seen, logits, peaks, bins },
      }),
    );
  const count = (table: number) =>
    record(() =>
      recorder.dispatch(countLogits, {
        params: { vocab },
        buffers: { reply, logits, peaks, bins },
        constants: { TABLE: table },
      }),
    );
  const pick = (draws: 0 | 1) =>
    record(() =>
      recorder.dispatch(pickToken, {
        params: { vocab },
        buffers: { reply, logits, peaks, bins, sums, seen, result },
        constants: { DRAWS: draws },
      }),
    );
  const shaped = shape(1);
  const best = pick(0);
  const [coarse, fineK, fineP] = [count(COARSE), count(FINE_K), count(FINE_P)];
  const summed = record(() =>
    recorder.dispatch(sumWeights, {
      params: { vocab },
      buffers: { reply, logits, peaks, bins, sums },
    }),
  );
  const drawn = pick(1);
  const top =
    vocab > SMALL_VOCAB
      ? [shape(0), best]
      : [
          record(() =>
            recorder.dispatch(argmax, { params: { vocab }, buffers: { logits, reply, result } }),
          ),
        ];
  return {
    top,
    penalised: [shaped, best],
    drawn: [shaped, summed, drawn],
    drawnTopK: [shaped, coarse, fineK, summed, drawn],
    drawnTopP: [shaped, coarse, fineP, summed, drawn],
    drawnTopKP: [shaped, coarse, fineK, fineP, summed, drawn],
  };
}
