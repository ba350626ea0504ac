import { SluiceError } from "../../errors.ts";
import { MeasuredCosts } from "../../speculation/costs.ts";
import {
  type DrafterName,
  drafters,
  type SpeculationName,
  speculations,
} from "../../speculation/registry.ts";

/** How a reply's tokens are drafted, or why they are not. */
export type SpeculationChoice =
  | {
      readonly drafter: DrafterName;
      /** Drafts are as long as they pay by what was measured here; otherwise by what passes usually cost. */
      readonly measured: boolean;
    }
  | { readonly drafter: "off"; readonly reason: string };

/** Work on drafts since the model was loaded. */
export interface SpeculationCounters {
  /** Tokens that were drafted and computed. */
  readonly drafted: number;
  /** Those of them that were right. */
  readonly accepted: number;
  /** Passes over drafted tokens. */
  readonly passes: number;
}

/** What was asked for when the model was loaded, and what came of it so far. */
export class Speculation {
  readonly name: SpeculationName;
  readonly costs = new MeasuredCosts();
  readonly #predictsAhead: boolean;
  readonly #refusal: string | undefined;
  #drafted = 0;
  #accepted = 0;
  #passes = 0;

  /**
   * @param predictsAhead the model's block is loaded
   * @param refusal why nothing is ever drafted for the model
   */
  constructor(name: SpeculationName, predictsAhead: boolean, refusal?: string) {
    this.name = name;
    this.#refusal = refusal;
    this.#predictsAhead = predictsAhead;
  }

  get counters(): SpeculationCounters {
    return { drafted: this.#drafted, accepted: this.#accepted, passes: this.#passes };
  }

  count(drafted: number, accepted: number): void {
    this.#drafted += drafted;
    this.#accepted += accepted;
    this.#passes++;
  }

  /**
   * The choice for a reply. Throws "bad-input" for a drafter that the model was not loaded for.
   *
   * @param greedy each token is the most probable one
   */
  choose(wanted: SpeculationName | undefined, greedy: boolean): SpeculationChoice {
    const name = wanted ?? this.name;
    if (name === "off") return { drafter: "off", reason: "not asked for" };
    if (this.#refusal !== undefined) return { drafter: "off", reason: this.#refusal };
    if (this.name === "off") {
      throw new SluiceError(
        "bad-input",
        `speculation is "${name}", but the model was loaded without it. Load the model with speculation: "${name}".`,
      );
    }
    if (name === "mtp" && !this.#predictsAhead) {
      throw new SluiceError(
        "bad-input",
        `speculation is "mtp", but the model was loaded for "${this.name}". Load the model with speculation: "mtp".`,
      );
    }
    if (!greedy) {
      return {
        drafter: "off",
        reason: "drafts are for replies with temperature 0 and no repetition penalty",
      };
    }
    if (name !== "auto") return { drafter: name, measured: false };
    return { drafter: this.#predictsAhead ? "mtp" : "prompt-lookup", measured: true };
  }
}

/** Throws "bad-input" for what is not known. */
export function readSpeculation<Wanted extends SpeculationName | undefined>(
  wanted: Wanted,
): Wanted {
  if (wanted === undefined || speculations.includes(wanted)) return wanted;
  throw new SluiceError(
    "bad-input",
    `speculation is ${JSON.stringify(wanted)}; it must be one of ${speculations.join(", ")}.`,
  );
}

/** Whether the model's block is to be loaded, if its file has one. */
export function wantsAhead(wanted: SpeculationName): boolean {
  return wanted === "mtp" || wanted === "auto";
}

/** Throws "unsupported-model" for a drafter that cannot draft for a model. */
export function checkDrafter(wanted: SpeculationName, predictsAhead: boolean): void {
  if (wanted === "off" || wanted === "auto") return;
  const refusal = drafters[wanted].refusal({ predictsAhead });
  if (refusal === undefined) return;
  throw new SluiceError(
    "unsupported-model",
    `speculation is "${wanted}", but the model cannot be drafted for so: ${refusal}. Choose "auto" or "prompt-lookup".`,
  );
}
