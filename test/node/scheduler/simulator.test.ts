import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SluiceError } from "../../../src/errors.ts";
import type { Predictor } from "../../../src/experts/predictors/predictor.ts";
import { type PredictorName, predictors } from "../../../src/experts/predictors/registry.ts";
import { passesOf, type RoutingTrace } from "../../../src/experts/trace.ts";
import { type PacingName, pacingRules } from "../../../src/scheduler/pacing/registry.ts";
import { DEFAULT_COSTS } from "../../../src/scheduler/simulation/cost-model.ts";
import { simulate } from "../../../src/scheduler/simulation/simulator.ts";
import { runs } from "../../helpers/random-cases.ts";
import { everyPolicy, inPasses, traceOf } from "../experts/helpers.ts";

const EXPERTS = 8;

/** Traces of one or two layers with `topK` distinct experts a token. */
const anyTrace = fc
  .record({ topK: fc.integer({ min: 1, max: 3 }), layers: fc.integer({ min: 1, max: 2 }) })
  .chain(({ topK, layers }) => {
    const chosen = fc.uniqueArray(fc.nat(EXPERTS - 1), { minLength: topK, maxLength: topK });
    const token = fc.array(chosen, { minLength: layers, maxLength: layers });
    return fc.array(token, { minLength: 1, maxLength: 40 });
  })
  .map((rows) => traceOf(EXPERTS, rows));

/** Slot counts for each layer: `slots` of each. */
function everywhere(trace: RoutingTrace, slots: number): number[] {
  return trace.layers.map(() => slots);
}

/** The fewest misses that any choice of victims leads to, by trying all of them. One layer. */
function fewestMisses(trace: RoutingTrace, slots: number): number {
  const known = new Map<string, number>();
  function from(position: number, resident: readonly number[]): number {
    const wanted = trace.tokens[position]?.experts;
    if (!wanted) return 0;
    const id = `${position}:${resident.join()}`;
    const before = known.get(id);
    if (before !== undefined) return before;

    const misses = wanted.filter((expert) => !resident.includes(expert)).length;
    const others = resident.filter((expert) => !wanted.includes(expert));
    const stay = Math.min(others.length, slots - wanted.length);
    const rest = Math.min(
      ...subsets(others, stay).map((kept) => from(position + 1, [...wanted, ...kept].sort())),
    );
    known.set(id, misses + rest);
    return misses + rest;
  }
  return from(0, []);
}

function subsets(items: readonly number[], count: number): number[][] {
  if (count === 0) return [[]];
  return items.flatMap((item, index) =>
    subsets(items.slice(index + 1), count - 1).map((rest) => [item, ...rest]),
  );
}

describe("simulate", () => {
  test("counts a small trace as done by hand", () => {
    const trace = traceOf(4, [[[0]], [[1]], [[0]], [[2]], [[0]], [[1]]]);

    // LRU with 2 slots: 0 and 1 miss, 0 hits, 2 evicts 1, 0 hits, 1 evicts 2.
    expect(simulate(trace, { slotCounts: [2], policy: "lru" })).toMatchObject({
      hits: 2,
      misses: 4,
      loads: { ram: 1, disk: 0, source: 3 },
      evictions: 2,
    });
  });

  test("one slot too few in a cycle: LRU misses everything, Belady does not", () => {
    const trace = traceOf(
      8,
      Array.from({ length: 20 }, (_, token) => [[token % 4]]),
    );

    expect(simulate(trace, { slotCounts: [3], policy: "lru" }).hits).toBe(0);
    expect(simulate(trace, { slotCounts: [3], policy: "belady" })).toMatchObject({ hits: 11 });
  });

  test("layers that share a pool share its slots", () => {
    const trace = traceOf(4, [
      [[0], [0]],
      [[1], [0]],
    ]);

    const own = simulate(trace, { slotCounts: [2, 2], policy: "lru" });
    const shared = simulate({ ...trace, pools: [0, 0] }, { slotCounts: [2], policy: "lru" });

    expect([own.hits, own.misses]).toEqual([1, 3]);
    expect([shared.hits, shared.misses]).toEqual([2, 2]);
  });

  test("an expert that several tokens of a pass want counts once", () => {
    const trace = traceOf(4, [[[0]], [[0]], [[1]], [[0]]]);

    expect(
      simulate({ ...trace, passes: [3, 1] }, { slotCounts: [2], policy: "lru" }),
    ).toMatchObject({
      hits: 1,
      misses: 2,
    });
  });

  test("a pass that wants more than there are slots is served in rounds", () => {
    const trace = traceOf(8, [[[0]], [[1]], [[2]], [[3]], [[4]], [[4]]]);

    const result = simulate({ ...trace, passes: [5, 1] }, { slotCounts: [2], policy: "lru" });

    expect(result).toMatchObject({ hits: 1, misses: 5, evictions: 3 });
  });
});

describe.for(everyPolicy)("$name on random traces", ({ name }) => {
  test("hits and misses add up to the requests, and every miss is loaded", () => {
    fc.assert(
      fc.property(
        anyTrace,
        fc.array(fc.integer({ min: 1, max: 6 })),
        fc.nat(EXPERTS),
        (oneByOne, sizes, spare) => {
          const trace = inPasses(oneByOne, sizes);
          const slots = Math.min(EXPERTS, trace.topK + spare);
          const result = simulate(trace, { slotCounts: everywhere(trace, slots), policy: name });

          const { hits, misses, evictions } = result;
          const loads = result.loads.ram + result.loads.disk + result.loads.source;
          expect(loads).toBe(misses);
          expect(evictions).toBeLessThanOrEqual(loads);
          expect(loads - evictions).toBeLessThanOrEqual(slots * trace.layers.length);
          if (sizes.length === 0) {
            expect(hits + misses).toBe(trace.tokens.length * trace.layers.length * trace.topK);
          }
          expect(result.layers.reduce((sum, layer) => sum + layer.misses, 0)).toBe(misses);
          expect(result.layers.reduce((sum, layer) => sum + layer.hits, 0)).toBe(hits);
        },
      ),
      { numRuns: runs(100) },
    );
  });

  test("more slots never mean more misses", () => {
    fc.assert(
      fc.property(anyTrace, (trace) => {
        let before = Infinity;
        for (let slots = trace.topK; slots <= EXPERTS; slots++) {
          const { misses } = simulate(trace, {
            slotCounts: everywhere(trace, slots),
            policy: name,
          });
          expect(misses).toBeLessThanOrEqual(before);
          before = misses;
        }
        const distinct = new Set(
          trace.tokens.flatMap(({ experts }) =>
            experts.map((expert, index) => `${Math.floor(index / trace.topK)}/${expert}`),
          ),
        );
        expect(before).toBe(distinct.size);
      }),
      { numRuns: runs(200) },
    );
  });

  test("never beats Belady", () => {
    fc.assert(
      fc.property(anyTrace, fc.nat(EXPERTS - 3), (trace, spare) => {
        const slotCounts = everywhere(trace, Math.min(EXPERTS, trace.topK + spare));

        const misses = simulate(trace, { slotCounts, policy: name }).misses;

        expect(simulate(trace, { slotCounts, policy: "belady" }).misses).toBeLessThanOrEqual(
          misses,
        );
      }),
      { numRuns: runs(200) },
    );
  });
});

describe("Belady", () => {
  test("misses as rarely as the best of all choices", () => {
    const small = fc
      .integer({ min: 1, max: 2 })
      .chain((topK) =>
        fc.array(fc.uniqueArray(fc.nat(5), { minLength: topK, maxLength: topK }), {
          minLength: 1,
          maxLength: 10,
        }),
      )
      .map((requests) =>
        traceOf(
          6,
          requests.map((chosen) => [chosen]),
        ),
      );
    fc.assert(
      fc.property(small, fc.nat(2), (trace, spare) => {
        const slots = trace.topK + spare;

        const { misses } = simulate(trace, { slotCounts: [slots], policy: "belady" });

        expect(misses).toBe(fewestMisses(trace, slots));
      }),
      { numRuns: runs(150) },
    );
  });
});

describe("a run of every kind", () => {
  const policies = [...everyPolicy.map(({ name }) => name), "belady" as const];
  const names = Object.keys(predictors) as PredictorName[];
  const usable = names.filter((name) => {
    const predictor: Predictor = predictors[name];
    return predictor.kind === "exact" || !predictor.needsGpuGuesses;
  });
  const anySimulation = fc.record({
    policy: fc.constantFrom(...policies),
    predictor: fc.constantFrom("none" as const, ...usable),
    pacing: fc.constantFrom(...(Object.keys(pacingRules) as PacingName[])),
    ramBudgetBytes: fc.nat(900),
    diskBudgetBytes: fc.nat(900),
    diskFilled: fc.boolean(),
    costs: fc
      .record(mapValues(DEFAULT_COSTS, () => fc.double({ min: 0, max: 3, noNaN: true })))
      .map((costs) => ({ ...costs, expertMs: Math.min(costs.expertMs, costs.layerMs) })),
  });
  const run = fc.tuple(
    anyTrace,
    fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 4 }),
    fc.nat(EXPERTS),
    fc.boolean(),
    anySimulation,
  );

  test("keeps every account: choices, loads, bytes, budgets, time", () => {
    fc.assert(
      fc.property(run, ([oneByOne, sizes, spare, filled, simulation]) => {
        const trace = { ...inPasses(oneByOne, sizes), filled };
        const slotCounts = everywhere(trace, Math.min(EXPERTS, trace.topK + spare));
        const recordBytes = trace.layers.map((_, pool) => 50 + 50 * pool);

        const result = simulate(trace, { ...simulation, slotCounts, recordBytes });

        let choices = 0;
        for (const { ids } of passesOf(trace))
          for (const chosen of ids) choices += new Set(chosen).size;
        expect(result.hits + result.misses).toBe(choices);
        const { issued, used, late, wasted } = result.prefetch;
        const loads = result.loads.ram + result.loads.disk + result.loads.source;
        // A prompt in the middle may wait for a prefetch without being asked about it.
        expect(loads).toBeLessThanOrEqual(result.misses - late + issued);
        const onePrompt = trace.passes?.slice(1).every((tokens) => tokens === 1);
        if (onePrompt) expect(loads).toBe(result.misses - late + issued);
        expect(used + late + wasted).toBeLessThanOrEqual(issued);
        expect(result.ramBytes).toBeLessThanOrEqual(simulation.ramBudgetBytes);
        expect(result.diskBytes).toBeLessThanOrEqual(simulation.diskBudgetBytes);
        expect(result.totalMs * (1 + 1e-9)).toBeGreaterThanOrEqual(result.stallMs);
        expect(Number.isFinite(result.totalMs)).toBe(true);
        expect(result.readbacks).toBeGreaterThanOrEqual([...passesOf(trace)].length);
        expect(simulate(trace, { ...simulation, slotCounts, recordBytes })).toEqual(result);
      }),
      { numRuns: runs(300) },
    );
  });

  test("hits and misses depend on slots and policy alone, unless something is prefetched", () => {
    const early = fc.constantFrom("none" as const, "pre-attention" as const, "pre-gate" as const);
    const byUses = everyPolicy.map(({ name }) => name).filter((name) => name !== "cost-aware");
    fc.assert(
      fc.property(
        run,
        early,
        fc.constantFrom(...byUses),
        ([one, sizes, spare, filled, simulation], predictor, policy) => {
          const trace = { ...inPasses(one, sizes), filled };
          const slotCounts = everywhere(trace, Math.min(EXPERTS, trace.topK + spare));

          const plain = simulate(trace, { slotCounts, policy });
          const other = simulate(trace, { ...simulation, slotCounts, policy, predictor });

          expect(other.layers).toEqual(plain.layers);
        },
      ),
      { numRuns: runs(200) },
    );
  });

  test("a router that knows the pass ahead never misses what RAM has", () => {
    fc.assert(
      fc.property(
        anyTrace,
        fc.constantFrom("decoupled" as const, "hash" as const),
        (trace, predictor) => {
          const slotCounts = everywhere(trace, trace.topK);

          const result = simulate(
            { ...trace, filled: true },
            { slotCounts, policy: "lru", predictor },
          );

          expect(result.misses).toBe(0);
          expect(result.prefetch).toMatchObject({ late: 0, wasted: 0 });
          expect(result.prefetch.used).toBe(result.prefetch.issued);
        },
      ),
      { numRuns: runs(100) },
    );
  });
});

test("a global sweep with one slot too few hits nothing under LRU: why pools have their own", () => {
  const rows = Array.from({ length: 10 }, () => [[0], [1], [2]]);
  const shared = { ...traceOf(EXPERTS, rows), pools: [0, 0, 0] };

  expect(simulate(shared, { slotCounts: [2], policy: "lru" }).hits).toBe(0);
  expect(simulate(traceOf(EXPERTS, rows), { slotCounts: [1, 1, 1], policy: "lru" }).hits).toBe(27);
});

test("slots that were filled hold the experts that the background loads first", () => {
  const trace = traceOf(EXPERTS, [[[0]], [[1]], [[2]]]);

  expect(simulate(trace, { slotCounts: [2], policy: "lru" }).hits).toBe(0);
  expect(simulate({ ...trace, filled: true }, { slotCounts: [2], policy: "lru" }).hits).toBe(2);
});

test("a predictor that reads the GPU cannot be simulated, nor an exact one of other routers", () => {
  const trace = { ...traceOf(4, [[[0]]]), routerInput: "post-attention" as const };
  const options = { slotCounts: [2], policy: "lru" } as const;

  expect(() => simulate(trace, { ...options, predictor: "next-layer" })).toThrow(SluiceError);
  expect(() => simulate(trace, { ...options, predictor: "hash" })).toThrow('"post-attention"');
});

test("fewer slots than a token uses are too few", () => {
  const trace = traceOf(4, [[[0, 1]]]);

  expect(() => simulate(trace, { slotCounts: [1], policy: "lru" })).toThrow(
    expect.objectContaining({ code: "budget-too-small" }),
  );
});

function mapValues<Key extends string, Value>(
  object: Readonly<Record<Key, unknown>>,
  value: () => Value,
): Record<Key, Value> {
  const entries = Object.keys(object).map((key) => [key, value()]);
  return Object.fromEntries(entries) as Record<Key, Value>;
}
