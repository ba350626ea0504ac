import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ExpertCache, ResizePlan } from "../../../src/experts/expert-cache.ts";
import { runs } from "../../helpers/random-cases.ts";
import { cacheOf, checkInvariants, everyPolicy, observe } from "./helpers.ts";

const POOLS = 2;
const EXPERTS = 6;

/** What the cache must know, kept in the plainest way: one entry an expert, and the content of every slot. */
interface Model {
  slotCounts: number[];
  readonly states: Map<string, "loading" | "ready">;
  readonly slots: Map<string, number>;
  readonly pins: Map<string, number>;
  hits: number;
  misses: number;
  loads: number;
  evictions: number;
}

type Operation =
  | {
      readonly type: "load" | "commit" | "abort" | "pin" | "release";
      readonly pool: number;
      readonly expert: number;
    }
  | { readonly type: "use"; readonly pool: number; readonly experts: readonly number[] }
  | { readonly type: "resize"; readonly slotCounts: readonly number[] };

const pool = fc.nat(POOLS - 1);
const expert = fc.nat(EXPERTS - 1);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant("load" as const), pool, expert }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant("commit" as const), pool, expert }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("abort" as const), pool, expert }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("pin" as const), pool, expert }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("release" as const), pool, expert }) },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("use" as const),
      pool,
      experts: fc.array(expert, { maxLength: 8 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant("resize" as const),
      slotCounts: fc.tuple(fc.nat(EXPERTS), fc.nat(EXPERTS)),
    }),
  },
);

const key = (ofPool: number, ofExpert: number) => `${ofPool}/${ofExpert}`;

describe.for(everyPolicy)("ExpertCache with $name, driven at random", ({ create }) => {
  test("does what a plain model does", () => {
    fc.assert(
      fc.property(
        fc.tuple(fc.nat(EXPERTS), fc.nat(EXPERTS)),
        fc.array(operation, { maxLength: 60 }),
        (slotCounts, operations) => {
          const cache = cacheOf(EXPERTS, slotCounts, create);
          const model: Model = {
            slotCounts: [...slotCounts],
            states: new Map(),
            slots: new Map(),
            pins: new Map(),
            hits: 0,
            misses: 0,
            loads: 0,
            evictions: 0,
          };
          for (const next of operations) {
            apply(cache, model, next);
            checkInvariants(cache);
            checkModel(cache, model);
          }
        },
      ),
      { numRuns: runs(150) },
    );
  });
});

/** Applies an operation to both, skipping what the model knows to be a wrong call. */
function apply(cache: ExpertCache, model: Model, next: Operation): void {
  if (next.type === "use") applyUse(cache, model, next.pool, next.experts);
  else if (next.type === "resize") applyResize(cache, model, next.slotCounts);
  else applyToExpert(cache, model, next);
}

function applyToExpert(
  cache: ExpertCache,
  model: Model,
  next: Exclude<Operation, { type: "use" | "resize" }>,
): void {
  const id = key(next.pool, next.expert);
  const state = model.states.get(id);
  switch (next.type) {
    case "load":
      if (state === undefined) applyLoad(cache, model, next.pool, next.expert);
      break;
    case "commit":
      if (state !== "loading") break;
      cache.commit(next.pool, next.expert);
      model.states.set(id, "ready");
      model.loads++;
      break;
    case "abort":
      if (state !== "loading") break;
      cache.abort(next.pool, next.expert);
      model.states.delete(id);
      model.slots.delete(id);
      break;
    case "pin":
      cache.pin(next.pool, next.expert);
      model.pins.set(id, (model.pins.get(id) ?? 0) + 1);
      break;
    case "release":
      if ((model.pins.get(id) ?? 0) === 0) break;
      cache.release(next.pool, next.expert);
      model.pins.set(id, model.pins.get(id)! - 1);
      break;
    default:
      next.type satisfies never;
  }
}

function applyUse(cache: ExpertCache, model: Model, ofPool: number, experts: readonly number[]) {
  cache.use(ofPool, experts);
  for (const used of new Set(experts)) {
    if (model.states.get(key(ofPool, used)) === "ready") model.hits++;
    else model.misses++;
  }
}

function applyLoad(cache: ExpertCache, model: Model, ofPool: number, ofExpert: number): void {
  const evictable = residents(model, ofPool).filter(
    (id) => model.states.get(id) === "ready" && !model.pins.get(id),
  );
  const hasRoom = residents(model, ofPool).length < model.slotCounts[ofPool]!;
  const before = observe(cache);

  const begun = cache.beginLoad(ofPool, ofExpert);

  if (!begun) {
    expect(hasRoom || evictable.length > 0).toBe(false);
    expect(observe(cache)).toEqual(before);
    return;
  }
  if (begun.evicts === undefined) {
    expect(hasRoom).toBe(true);
  } else {
    const victim = key(ofPool, begun.evicts);
    expect(hasRoom).toBe(false);
    expect(evictable).toContain(victim);
    expect(begun.slot).toBe(model.slots.get(victim));
    model.states.delete(victim);
    model.slots.delete(victim);
    model.evictions++;
  }
  model.states.set(key(ofPool, ofExpert), "loading");
  model.slots.set(key(ofPool, ofExpert), begun.slot);
}

function applyResize(cache: ExpertCache, model: Model, slotCounts: readonly number[]): void {
  const isFixed = (id: string) =>
    model.states.get(id) === "loading" || (model.pins.get(id) ?? 0) > 0;
  const refused = slotCounts.some((slots, ofPool) =>
    residents(model, ofPool).some((id) => model.slots.get(id)! >= slots && isFixed(id)),
  );
  const before = observe(cache);

  const plan = cache.resize(slotCounts);

  expect(plan === undefined).toBe(refused);
  if (!plan) {
    expect(observe(cache)).toEqual(before);
    return;
  }
  for (const { pool: ofPool, expert: dropped, slot } of plan.dropped) {
    const id = key(ofPool, dropped);
    expect(isFixed(id)).toBe(false);
    expect(model.slots.get(id)).toBe(slot);
    model.states.delete(id);
    model.slots.delete(id);
  }
  checkMoves(model, plan, slotCounts);
  slotCounts.forEach((slots, ofPool) => {
    const left = residents(model, ofPool).length;
    const droppedHere = plan.dropped.filter((drop) => drop.pool === ofPool).length;
    expect(droppedHere).toBe(Math.max(0, left + droppedHere - slots)); // no more than must
  });
  model.slotCounts = [...slotCounts];
  expect(plan.kept).toBe([...model.states.values()].filter((state) => state === "ready").length);
}

/** Moves may be copied in any order: no target is a source, and none holds an expert that stays. */
function checkMoves(model: Model, plan: ResizePlan, slotCounts: readonly number[]): void {
  for (const { pool: ofPool, expert: moved, fromSlot, toSlot } of plan.moves) {
    const id = key(ofPool, moved);
    expect(model.slots.get(id)).toBe(fromSlot);
    expect(fromSlot).toBeGreaterThanOrEqual(slotCounts[ofPool]!);
    expect(toSlot).toBeLessThan(slotCounts[ofPool]!);
    const taken = residents(model, ofPool).map((resident) => model.slots.get(resident));
    expect(taken).not.toContain(toSlot);
    model.slots.set(id, toSlot);
  }
}

function residents(model: Model, ofPool: number): string[] {
  return [...model.states.keys()].filter((id) => id.startsWith(`${ofPool}/`));
}

function checkModel(cache: ExpertCache, model: Model): void {
  const actual: string[] = [];
  const expected: string[] = [];
  for (let ofPool = 0; ofPool < POOLS; ofPool++) {
    expect(cache.slotCount(ofPool)).toBe(model.slotCounts[ofPool]);
    expect(residents(model, ofPool).length).toBeLessThanOrEqual(cache.slotCount(ofPool));
    for (let ofExpert = 0; ofExpert < EXPERTS; ofExpert++) {
      const id = key(ofPool, ofExpert);
      const state = model.states.get(id) ?? "absent";
      const slot = state === "ready" ? model.slots.get(id) : undefined;
      expected.push(`${id} ${state} ${slot} ${model.pins.get(id) ?? 0}`);
      actual.push(
        `${id} ${cache.state(ofPool, ofExpert)} ${cache.slotOf(ofPool, ofExpert)} ${cache.pins(ofPool, ofExpert)}`,
      );
    }
  }
  expect(actual.join("\n")).toBe(expected.join("\n"));
  const { hits, misses, loads, evictions } = model;
  expect(cache.counters).toEqual({ hits, misses, loads, evictions });
}
