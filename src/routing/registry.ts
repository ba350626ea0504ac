import type { ScoreFunction } from "./router.ts";
import { sigmoid } from "./sigmoid.ts";
import { softmax } from "./softmax.ts";

/** Every score function, by name. To add one: write its two files and name it here. */
export const scoreFunctions = { softmax, sigmoid } as const satisfies Record<string, ScoreFunction>;

/** The name of a score function. */
export type ScoreFunctionName = keyof typeof scoreFunctions;
