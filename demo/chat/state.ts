import type { EngineStats, ModelInfo } from "../../src/index.ts";
import type { Shares } from "./budget.ts";
import type { Failure } from "./failures.ts";
import type { HeatFrame } from "./heat.ts";
import type { Kept } from "./kept.ts";
import type { ModelChoice } from "./models.ts";
import type { LoadReports } from "./progress.ts";
import type { Settings } from "./settings.ts";
import type { Turn } from "./turns.ts";
import { describeAdapter, type RuntimeName } from "./words.ts";

/** What the engine is doing. `idle`: no model is loaded and none is on its way. */
export type Phase = "idle" | "loading" | "ready" | "replying";

/** All that the page shows. */
export interface AppState {
  readonly phase: Phase;
  /** The model that the page came with. */
  readonly bundled: ModelChoice | undefined;
  /** The model that was asked for last. */
  readonly choice: ModelChoice | undefined;
  /** The model that is loaded. */
  readonly model: ModelInfo | undefined;
  readonly reports: LoadReports;
  /** Experts are still arriving, although the model can already write. */
  readonly filling: boolean;
  readonly failure: Failure | undefined;
  readonly turns: readonly Turn[];
  readonly shares: Shares;
  /** Why the last change of a budget did not work; empty when it did. */
  readonly budgetProblem: string;
  readonly settings: Settings;
  /** What computes, or is expected to. */
  readonly runtime: RuntimeName;
  readonly stats: EngineStats | undefined;
  readonly frame: HeatFrame | undefined;
  readonly kept: Kept;
}

/** Status of the header's pill: its text and its colour. */
export function describeStatus(state: AppState): {
  readonly text: string;
  readonly tone: "busy" | "good" | "bad" | "calm";
} {
  const adapter = state.stats && describeAdapter(state.stats);
  const model = state.model?.name || (state.choice?.label ?? "model");
  switch (state.phase) {
    case "loading":
      return { text: `Loading ${model}`, tone: "busy" };
    case "ready":
    case "replying": {
      const text = adapter ? `${model} · ${adapter}` : model;
      return { text, tone: state.phase === "ready" ? "good" : "busy" };
    }
    case "idle":
      return state.failure
        ? { text: "Not running", tone: "bad" }
        : { text: "No model loaded", tone: "calm" };
    default:
      throw new Error(`unreachable: ${state.phase satisfies never}`);
  }
}
