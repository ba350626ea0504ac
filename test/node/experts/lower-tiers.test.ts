import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LowerTiers, type LowerTiersOptions } from "../../../src/experts/lower-tiers.ts";
import { runs } from "../../helpers/random-cases.ts";
import { everyPolicy } from "./helpers.ts";

const EXPERTS = 4;
/** Pools of large and of small records. */
const RECORD_BYTES = [30, 10];

function tiersOf(options: Partial<LowerTiersOptions> = {}): LowerTiers {
  return new LowerTiers({
    experts: EXPERTS,
    recordBytes: RECORD_BYTES,
    ramBudgetBytes: 60,
    diskBudgetBytes: 120,
    policy: "lru",
    onGpu: () => false,
    ...options,
  });
}

/** All that can be asked of the tiers. */
function observe(tiers: LowerTiers) {
  const places = RECORD_BYTES.map((_, pool) =>
    Array.from({ length: EXPERTS }, (_, expert) => [
      tiers.has("ram", pool, expert),
      tiers.has("disk", pool, expert),
    ]),
  );
  const counts = (["ram", "disk"] as const).map((tier) => [
    tiers.bytes(tier),
    tiers.count(tier),
    tiers.budgetBytes(tier),
    tiers.coldest(tier),
  ]);
  return { places, counts };
}

describe("LowerTiers", () => {
  test("tells the fastest place that has a record", () => {
    const tiers = tiersOf();
    tiers.admit("disk", 0, 1);
    tiers.admit("disk", 1, 1);
    tiers.admit("ram", 0, 1);

    expect([tiers.locate(0, 1), tiers.locate(1, 1), tiers.locate(1, 2)]).toEqual([
      "ram",
      "disk",
      "source",
    ]);
    tiers.drop("ram", 0, 1);
    expect(tiers.locate(0, 1)).toBe("disk");
  });

  test("lets as many records go as a larger one needs, the coldest of all pools first", () => {
    const tiers = tiersOf({ ramBudgetBytes: 40 });
    for (const expert of [0, 1, 2, 3]) tiers.admit("ram", 1, expert);
    tiers.use(1, [3]);
    tiers.use(1, [1]);
    tiers.use(1, [0, 2]);

    expect(tiers.admit("ram", 0, 0)).toEqual({
      evicted: [
        { pool: 1, expert: 3 },
        { pool: 1, expert: 1 },
        { pool: 1, expert: 0 },
      ],
    });
    expect([tiers.bytes("ram"), tiers.count("ram")]).toEqual([40, 2]);
  });

  test("in RAM, what is also on the GPU leaves first; on disk it does not", () => {
    const tiers = tiersOf({
      ramBudgetBytes: 20,
      diskBudgetBytes: 20,
      onGpu: (pool, expert) => pool === 1 && expert === 1,
    });
    for (const tier of ["ram", "disk"] as const) {
      for (const expert of [0, 1]) tiers.admit(tier, 1, expert);
    }
    tiers.use(1, [0, 1]);

    expect(tiers.admit("ram", 1, 2)).toEqual({ evicted: [{ pool: 1, expert: 1 }] });
    expect(tiers.admit("disk", 1, 2)).toEqual({ evicted: [{ pool: 1, expert: 0 }] });
  });

  test("admitting what is there changes nothing and evicts nothing", () => {
    const tiers = tiersOf();
    tiers.admit("ram", 0, 0);
    const before = observe(tiers);

    expect(tiers.admit("ram", 0, 0)).toEqual({ evicted: [] });
    expect(observe(tiers)).toEqual(before);
  });

  test("a record that is larger than the budget is refused, and nothing leaves for it", () => {
    const tiers = tiersOf({ ramBudgetBytes: 20 });
    tiers.admit("ram", 1, 0);
    tiers.admit("ram", 1, 1);
    const before = observe(tiers);

    expect(tiers.admit("ram", 0, 0)).toBeUndefined();
    expect(observe(tiers)).toEqual(before);
  });

  test("a budget of 0 holds nothing, and a smaller budget says what left", () => {
    const tiers = tiersOf();
    for (const expert of [0, 1, 2, 3]) tiers.admit("ram", 1, expert);
    tiers.use(1, [2, 0]);

    expect(tiers.setBudget("ram", 25)).toEqual([
      { pool: 1, expert: 1 },
      { pool: 1, expert: 3 },
    ]);
    expect(tiers.setBudget("ram", 0)).toEqual([
      { pool: 1, expert: 2 },
      { pool: 1, expert: 0 },
    ]);
    expect(tiers.admit("ram", 1, 0)).toBeUndefined();
    expect(tiers.coldest("ram")).toBeUndefined();
  });

  test("a layer's uses do not age the other layers' of the same pass, whatever their number", () => {
    const tiers = tiersOf({ policy: "lfu-decayed", ramBudgetBytes: 20 });
    for (const expert of [0, 1]) tiers.admit("ram", 1, expert);
    tiers.use(1, [0]);
    tiers.use(1, [0]);
    for (let pass = 0; pass < 8; pass++) tiers.use(0, [0]);
    tiers.use(1, [1]);

    // With a half-life of 8 requests and not passes, two uses 9 requests ago would weigh less than one now.
    expect(tiers.coldest("ram")).toEqual({ pool: 1, expert: 1 });
  });

  test("costs of a return go by the bytes and by where the record is", () => {
    const tiers = tiersOf({ reloadMsPerByte: { ram: 1, disk: 2, source: 10 } });
    tiers.admit("disk", 0, 1);
    tiers.admit("ram", 0, 2);

    expect([0, 1, 2].map((expert) => tiers.reloadCost(0, expert))).toEqual([300, 60, 30]);
    expect(tiers.reloadCost(1, 0)).toBe(100);
  });

  test("by cost, RAM keeps what only the source has before what the disk has too", () => {
    const tiers = tiersOf({ policy: "cost-aware", ramBudgetBytes: 20 });
    for (const expert of [0, 1]) tiers.admit("ram", 1, expert);
    tiers.admit("disk", 1, 1);
    tiers.use(1, [0, 1]);

    expect(tiers.coldest("ram")).toEqual({ pool: 1, expert: 1 });
  });

  test.for([
    [2, 0],
    [-1, 0],
    [0, 4],
    [0, 0.5],
  ])("pool %d, expert %d is a bug of the caller", ([pool, expert]) => {
    expect(() => tiersOf().locate(pool!, expert!)).toThrow("unreachable: expert");
  });
});

type Operation =
  | { readonly type: "admit" | "drop"; readonly tier: "ram" | "disk"; readonly record: number }
  | { readonly type: "use"; readonly pool: number; readonly experts: readonly number[] }
  | { readonly type: "budget"; readonly tier: "ram" | "disk"; readonly bytes: number }
  | { readonly type: "gpu"; readonly record: number };

const tier = fc.constantFrom("ram" as const, "disk" as const);
const record = fc.nat(2 * EXPERTS - 1);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant("admit" as const), tier, record }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("drop" as const), tier, record }) },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("use" as const),
      pool: fc.nat(1),
      experts: fc.array(fc.nat(EXPERTS - 1), { maxLength: 5 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant("budget" as const),
      tier,
      bytes: fc.nat(200),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("gpu" as const), record }) },
);

describe.for(everyPolicy)("LowerTiers with $name, driven at random", ({ name }) => {
  test("hold exactly what was admitted and has not left, never more than the budget", () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
        const onGpu = new Set<number>();
        const tiers = tiersOf({
          policy: name,
          onGpu: (pool, expert) => onGpu.has(pool * EXPERTS + expert),
        });
        const held = { ram: new Set<number>(), disk: new Set<number>() };
        for (const next of operations) {
          apply(tiers, held, onGpu, next);
          check(tiers, held);
        }
      }),
      { numRuns: runs(200) },
    );
  });
});

interface Held {
  readonly ram: Set<number>;
  readonly disk: Set<number>;
}

function bytesOf(record: number): number {
  return RECORD_BYTES[Math.floor(record / EXPERTS)]!;
}

function apply(tiers: LowerTiers, held: Held, onGpu: Set<number>, next: Operation): void {
  switch (next.type) {
    case "use":
      tiers.use(next.pool, next.experts);
      break;
    case "gpu":
      if (!onGpu.delete(next.record)) onGpu.add(next.record);
      break;
    case "drop":
      tiers.drop(next.tier, Math.floor(next.record / EXPERTS), next.record % EXPERTS);
      held[next.tier].delete(next.record);
      break;
    case "budget":
      leave(held[next.tier], tiers.setBudget(next.tier, next.bytes), onGpu, next.tier);
      break;
    case "admit":
      applyAdmit(tiers, held, onGpu, next);
      break;
    default:
      next satisfies never;
  }
}

function applyAdmit(
  tiers: LowerTiers,
  held: Held,
  onGpu: Set<number>,
  next: Extract<Operation, { type: "admit" | "drop" }>,
): void {
  const before = observe(tiers);
  const bytes = held[next.tier].has(next.record) ? 0 : bytesOf(next.record);

  const admitted = tiers.admit(next.tier, Math.floor(next.record / EXPERTS), next.record % EXPERTS);

  if (!admitted) {
    expect(bytesOf(next.record)).toBeGreaterThan(tiers.budgetBytes(next.tier));
    expect(observe(tiers)).toEqual(before);
    return;
  }
  const free = tiers.budgetBytes(next.tier) - sum(held[next.tier]);
  const victims = admitted.evicted.map(({ pool, expert }) => pool * EXPERTS + expert);
  expect(victims).not.toContain(next.record);
  // Nothing leaves that need not: without the last victim the record would not have fitted.
  if (victims.length > 0) expect(free + sum(victims.slice(0, -1))).toBeLessThan(bytes);
  leave(held[next.tier], admitted.evicted, onGpu, next.tier);
  held[next.tier].add(next.record);
}

/** Takes out what left; what is on the GPU leaves RAM before what is not. */
function leave(
  held: Set<number>,
  evicted: readonly { pool: number; expert: number }[],
  onGpu: ReadonlySet<number>,
  tier: "ram" | "disk",
): void {
  for (const { pool, expert } of evicted) {
    const record = pool * EXPERTS + expert;
    if (tier === "ram" && !onGpu.has(record)) {
      expect([...held].filter((other) => onGpu.has(other))).toEqual([]);
    }
    expect(held.delete(record)).toBe(true);
  }
}

function check(tiers: LowerTiers, held: Held): void {
  for (const tier of ["ram", "disk"] as const) {
    for (let record = 0; record < 2 * EXPERTS; record++) {
      const has = tiers.has(tier, Math.floor(record / EXPERTS), record % EXPERTS);
      expect(has).toBe(held[tier].has(record));
    }
    expect(tiers.bytes(tier)).toBe(sum(held[tier]));
    expect(tiers.count(tier)).toBe(held[tier].size);
    expect(tiers.bytes(tier)).toBeLessThanOrEqual(tiers.budgetBytes(tier));
  }
}

function sum(records: Iterable<number>): number {
  return [...records].reduce((total, record) => total + bytesOf(record), 0);
}
