import { expect, test } from "vitest";
import type { ExpertStore } from "../../../src/engine/expert-store.ts";
import { PassExperts } from "../../../src/engine/pass-experts.ts";
import { ExpertCache } from "../../../src/experts/expert-cache.ts";
import { evictionPolicies } from "../../../src/experts/policies/registry.ts";
import type { MoeSpec } from "../../../src/ops/ops.ts";

test("loads that were begun are taken back when what is computed before them fails", async () => {
  const cache = new ExpertCache({
    ...{ experts: 4, slotCounts: [3], createPolicy: evictionPolicies.lru },
    reloadCost: () => 1,
  });
  cache.beginLoad(0, 0);
  cache.commit(0, 0);
  const failure = new Error("it cannot be computed");
  const bringer = new PassExperts(
    {
      moe: [{ pool: 0, topK: 2 } as MoeSpec],
      cache,
      store: { inRam: () => false } as unknown as ExpertStore,
      count: () => {},
    },
    { tokens: 1, signal: undefined, submit: () => Promise.reject(failure) },
  );

  // One is there and computed while the other is fetched.
  const brought = bringer.makeResident({ moe: 0, sums: false }, Uint32Array.of(0, 1), false);

  await expect(brought).rejects.toBe(failure);
  expect(cache.state(0, 0)).toBe("ready");
  expect(cache.state(0, 1)).toBe("absent");
});
