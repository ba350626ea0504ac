import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Engine } from "../../src/engine/types.ts";
import { type EvictionPolicyName, evictionPolicies } from "../../src/experts/policies/registry.ts";
import type { PredictorName } from "../../src/experts/predictors/registry.ts";
import { simulate } from "../../src/scheduler/simulation/simulator.ts";
import { type CreateEngine, replyOf } from "../helpers/engine.ts";
import { tinyModel } from "../helpers/tiny-models.ts";

const EXPERTS = 8;
const LAYERS = 3;
const PROMPT = { tokens: Array.from({ length: 41 }, (_, index) => (index * 37 + 5) % 300) };
const POLICIES = Object.keys(evictionPolicies) as EvictionPolicyName[];

const small = { hidden: 64, ffn: 64, heads: 2, kvHeads: 2, headDim: 32, layers: LAYERS };

/** Defines the tests that the simulator counts the engine's hits and misses. */
export function testSimulated(createEngine: CreateEngine): void {
  describe.for(["smallthinker", "qwen3moe"] as const)(
    "a trace of %s, simulated",
    (architecture) => {
      let engine: Engine;
      let model: ArrayBuffer;

      beforeAll(() => {
        engine = createEngine();
        model = tinyModel({ ...small, experts: EXPERTS, architecture, format: "q8_0" }).buffer;
      });
      afterAll(() => engine.dispose());

      const predictor: PredictorName | "none" =
        architecture === "smallthinker" ? "pre-attention" : "none";
      const cases = POLICIES.flatMap((policy) =>
        (["off", "wait"] as const).flatMap((fill) =>
          [2, 3, 5, 8].map((slots) => ({ policy, fill, slots })),
        ),
      );

      test.for(cases)(
        "has the engine's hits and misses: $policy, $slots slots, fill $fill",
        async ({ policy, fill, slots }) => {
          await engine.load(model, { policy, fill, gpuBudget: `${(100 * slots) / EXPERTS}%` }, {});
          const { stats, trace } = await replyOf(engine, PROMPT, { maxTokens: 16, trace: true });

          const slotCounts = Array<number>(LAYERS).fill(slots);
          const simulated = simulate(trace!, { slotCounts, policy, predictor });

          expect(stats.expertMisses + stats.expertHits).toBeGreaterThan(100);
          expect({ hits: simulated.hits, misses: simulated.misses }).toEqual({
            hits: stats.expertHits,
            misses: stats.expertMisses,
          });
        },
      );
    },
  );
}
