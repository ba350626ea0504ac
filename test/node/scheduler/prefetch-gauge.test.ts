import { describe, expect, test } from "vitest";
import type { ExpertCache } from "../../../src/experts/expert-cache.ts";
import { planPrefetch } from "../../../src/scheduler/prefetch.ts";
import { type PrefetchCosts, PrefetchGauge } from "../../../src/scheduler/prefetch-gauge.ts";
import { cacheOf, serve } from "../experts/helpers.ts";

const BYTES = 100;

/** A fault costs as much as moving a record, unless told otherwise. */
const COSTS: PrefetchCosts = { faultMs: 1, msPerByte: 1 / BYTES };

/** One pool of 2 slots out of 8, driven as the engine drives it. */
class Scene {
  readonly cache: ExpertCache = cacheOf(8, [2]);
  readonly gauge: PrefetchGauge;

  constructor(options: { readonly exact?: boolean } = {}) {
    this.gauge = new PrefetchGauge({
      cache: this.cache,
      pools: [0],
      recordBytes: [BYTES],
      ...options,
    });
  }

  /** Names `experts`, and begins to load what is absent of them if the gauge allows it. */
  guess(...experts: readonly number[]): this {
    const { cache, gauge } = this;
    const guesses = experts.map((expert) => ({ moe: 0, expert, probability: 1 }));
    gauge.guessed(guesses);
    if (!gauge.enabled) return this;
    gauge.issued(planPrefetch({ cache, pools: [0], guesses, limitPerPool: 8, minProbability: 0 }));
    return this;
  }

  /** What is under way arrives. */
  land(): this {
    for (const expert of this.cache.loading(0)) this.cache.commit(0, expert);
    return this;
  }

  /** A pass chooses an expert, and waits for it. */
  ask(expert: number): this {
    this.gauge.asked(0, [expert, expert]);
    this.land();
    serve(this.cache, 0, [expert]);
    return this;
  }

  end(costs = COSTS): this {
    this.gauge.endPass(costs);
    return this;
  }

  get counts() {
    return this.gauge.counters;
  }
}

describe("PrefetchGauge counts", () => {
  test("a prefetch that is there when it is chosen as used, once", () => {
    const { counts, gauge } = new Scene().guess(3).land().ask(3).ask(3).end();

    expect(counts).toMatchObject({ issued: 1, used: 1, late: 0, wasted: 0, faultsAvoided: 1 });
    expect(counts.issuedBytes).toBe(BYTES);
    expect(gauge.isUnused(0, 3)).toBe(false);
  });

  test("one that is chosen while on its way as late, and neither used nor wasted later", () => {
    const { counts } = new Scene().guess(3).ask(3).ask(3).ask(4).ask(5).ask(6).end();

    expect(counts).toMatchObject({ issued: 1, used: 0, late: 1, wasted: 0, faultsAvoided: 0 });
  });

  test("one that is evicted before it is chosen as wasted, once, with its bytes", () => {
    const { counts } = new Scene().guess(3).land().ask(4).ask(5).ask(6).end().end();

    expect(counts).toMatchObject({ issued: 1, used: 0, wasted: 1, wastedBytes: BYTES });
  });

  test("one that is wasted and named again as two, of which one is used", () => {
    const scene = new Scene().guess(3).land().ask(4).ask(5).ask(6);

    const { counts } = scene.guess(3).land().ask(3).end();

    expect(counts).toMatchObject({ issued: 2, used: 1, wasted: 1 });
  });

  test("one whose load failed as nothing", () => {
    const scene = new Scene().guess(3);
    scene.cache.abort(0, 3);
    scene.gauge.failed(0, 3);

    expect(scene.ask(4).end().counts).toMatchObject({ issued: 1, used: 0, wasted: 0 });
  });

  test("a choice that is absent because a prefetch took its place as displaced", () => {
    const { counts } = new Scene().ask(0).ask(1).guess(3).land().ask(0).end();

    expect(counts).toMatchObject({ issued: 1, displaced: 1 });
  });

  test("recall: of what was absent without prefetch, the share that was named", () => {
    const scene = new Scene();
    expect(scene.counts.recall).toBeUndefined();

    scene.guess(3).land().ask(3).end(); // absent, named
    scene.guess(6).land().ask(4).end(); // absent, not named
    scene.guess(4).ask(4).end(); // was there anyway
    scene.guess(5).ask(5).end(); // absent, named too late

    expect(scene.counts.recall).toBeCloseTo(2 / 3, 12);
  });
});

describe("PrefetchGauge switches a predictor", () => {
  /** One pass in which a guess is right or wrong, on a pool where nothing stays. */
  function pass(scene: Scene, number: number, right: boolean, costs = COSTS): void {
    const wanted = number % 8;
    scene
      .guess(right ? wanted : (wanted + 4) % 8)
      .land()
      .ask(wanted)
      .end(costs);
  }

  function play(scene: Scene, passes: number, right: boolean, costs = COSTS): void {
    for (let number = 0; number < passes; number++) pass(scene, number, right, costs);
  }

  test("off after a window in which nothing named was wanted", () => {
    const scene = new Scene();

    play(scene, 63, false);
    expect(scene.gauge.enabled).toBe(true);
    play(scene, 1, false);
    expect(scene.gauge.enabled).toBe(false);
  });

  test("not off while it is right", () => {
    const scene = new Scene();

    play(scene, 640, true);

    expect(scene.gauge.enabled).toBe(true);
    expect(scene.counts.used).toBe(640);
  });

  test("by the costs: half right pays when a fault costs more than a record", () => {
    const cheap = new Scene();
    const dear = new Scene();
    for (let number = 0; number < 64; number++) {
      pass(cheap, number, number % 2 === 0, { faultMs: 0.5, msPerByte: 1 / BYTES });
      pass(dear, number, number % 2 === 0, { faultMs: 5, msPerByte: 1 / BYTES });
    }

    expect(cheap.gauge.enabled).toBe(false);
    expect(dear.gauge.enabled).toBe(true);
  });

  test("on again after 256 passes, and after 512 when that fails too", () => {
    const scene = new Scene();
    play(scene, 64, false);

    play(scene, 255, false);
    expect(scene.gauge.enabled).toBe(false);
    play(scene, 1, false);
    expect(scene.gauge.enabled).toBe(true);
    play(scene, 64, false);
    play(scene, 511, false);
    expect(scene.gauge.enabled).toBe(false);
    play(scene, 1, false);
    expect(scene.gauge.enabled).toBe(true);
  });

  test("after one that pays, the first rest is short again", () => {
    const scene = new Scene();
    play(scene, 64 + 256, false);
    play(scene, 64, true);
    play(scene, 64, false);

    play(scene, 255, false);
    expect(scene.gauge.enabled).toBe(false);
    play(scene, 1, false);
    expect(scene.gauge.enabled).toBe(true);
  });

  test("never off when it is exact, or when it begins nothing", () => {
    const exact = new Scene({ exact: true });
    play(exact, 200, false);
    const idle = new Scene().ask(1).ask(2);
    for (let number = 0; number < 200; number++)
      idle
        .guess(1)
        .ask(1 + (number % 2))
        .end();

    expect([exact.gauge.enabled, idle.gauge.enabled]).toEqual([true, true]);
  });

  test("measures recall while it rests", () => {
    const scene = new Scene();
    play(scene, 64, false);
    const before = scene.counts;

    play(scene, 100, true);

    expect(scene.counts.issued).toBe(before.issued);
    expect(scene.counts.recall).toBeGreaterThan(before.recall ?? 0);
  });
});
