import type { ExpertCache } from "../../experts/expert-cache.ts";
import type { LowerTiers } from "../../experts/lower-tiers.ts";
import { ABSENT } from "../../experts/page-table.ts";
import type { ExpertGuess, Guesser } from "../../experts/predictors/predictor.ts";
import type { TracedPass } from "../../experts/trace.ts";
import type { FaultEstimate } from "../pacing/fault-estimate.ts";
import type { PacingRule } from "../pacing/pacing.ts";
import { PREFETCH_MIN_PROBABILITY, planPrefetch } from "../prefetch.ts";
import type { PrefetchGauge } from "../prefetch-gauge.ts";
import { planFault } from "../scheduler.ts";
import type { CostModel } from "./cost-model.ts";
import type { VirtualLoads } from "./virtual-loads.ts";

/**
 * How long before its experts a layer's choice is known on the GPU: not at all, by what lies before them in the layer,
 * by a whole layer; `pass`: all of them at the begin of the pass, which is read there once; `token`: before the pass
 * begins, and to the host.
 */
export type Lead = "none" | "attention" | "layer" | "pass" | "token";

const KNOWN_AT_BEGIN: ReadonlySet<Lead> = new Set(["pass", "token"]);

/** What passes run on: the engine's own objects, and a clock. */
export interface PassParts {
  readonly cache: ExpertCache;
  readonly tiers: LowerTiers;
  readonly loads: VirtualLoads;
  readonly estimate: FaultEstimate;
  readonly pacing: PacingRule;
  readonly costs: CostModel;
  /** The pool of each MoE layer. */
  readonly pools: readonly number[];
  readonly topK: number;
  /** How long before its experts a layer's choice is known. */
  readonly lead: Lead;
  readonly guesser: Guesser | undefined;
  readonly gauge: PrefetchGauge;
  /** The first layer's router sees nothing but the token: what it chose for one is known from then on. */
  readonly firstSeesToken: boolean;
}

/** What passes did so far. */
export interface PassCounters {
  /** Layers of a pass that waited for a load; one from RAM is no wait where an exact predictor named it early. */
  faults: number;
  /** Layers without a cut that stopped the GPU because an expert was absent. */
  stops: number;
  /** Readbacks, of faults, cuts and ends. */
  readbacks: number;
  /** Time in which the GPU had nothing to do but wait for records. */
  stallMs: number;
  /** For each MoE layer, distinct experts of a pass that were ready, and that were not. */
  readonly hits: number[];
  readonly misses: number[];
}

/** The work of one pass in milliseconds. */
interface Work {
  readonly layerMs: number;
  readonly expertMs: number;
  /** How long before its experts a layer's choice is known. */
  readonly leadMs: number;
  /** What reading it adds to the work that should have hidden it. */
  readonly readMs: number;
}

/** A layer whose choice the host knows. */
interface KnownLayer {
  readonly moe: number;
  /** When the host knows it, and when the GPU could start the experts. */
  readonly hostMs: number;
  readonly expertsMs: number;
  readonly expertMs: number;
  /** The choice was read early. */
  readonly ahead: boolean;
}

/** How far a pass is. */
interface Progress {
  /** The layer that is next. */
  readonly moe: number;
  /** Layers whose choice the host knows. */
  readonly counted: number;
  /** When the host has nothing left to do. */
  readonly hostMs: number;
  /** When the GPU starts the piece under way, and layer `moe`. */
  readonly pieceMs: number;
  readonly layerMs: number;
}

/**
 * Runs passes as the engine does, on a virtual clock.
 *
 * A pass is submitted in pieces that end before the experts of a cut layer. Without a fault a piece of layers
 * `[first, cut]` brings the host the cut layer's choice a readback after its router, and its experts run once they are
 * due, the host knows, and everything is there. A layer that is not cut and misses stops the GPU: the steps up to the
 * end of the piece return at once, a readback tells the host, and the piece is submitted again from there. What is
 * ready is computed while the rest is loaded. Passes of several tokens are cut at every layer. A layer whose experts are
 * all there needs no cut.
 *
 * The engine works in the same order: guesses before the pass, and the first layer where its choice is known by then; at
 * each readback first what has landed, then the uses of the layers that are known, then (at a cut) guesses for the next
 * layer, then the loads of the layer itself. Not here: the background, which fills empty slots and tiers meanwhile and
 * fetches the next layer during a prompt.
 */
export class VirtualPasses {
  readonly #parts: PassParts;
  readonly counters: PassCounters;
  readonly #computed = new Set<number>(); // tokens

  constructor(parts: PassParts) {
    this.#parts = parts;
    const zeros = () => parts.pools.map(() => 0);
    this.counters = {
      faults: 0,
      stops: 0,
      readbacks: 0,
      stallMs: 0,
      hits: zeros(),
      misses: zeros(),
    };
  }

  /** Runs a pass that starts at a time; the time at which its result is known. */
  run(pass: TracedPass, startMs: number): number {
    const { loads, costs, pools, guesser, gauge } = this.#parts;
    const work = this.#workOf(pass.tokens.length);
    loads.settle(startMs);
    const chosenMs = this.#readAll(pass, startMs);
    this.#guessPass(pass, chosenMs);
    const counted = this.#serveKnown(pass, startMs);
    const cuts = this.#cutsOf(pass.tokens.length, work).filter((moe) => moe >= counted);

    const pieceMs = Math.max(chosenMs, loads.uploadedMs);
    let at: Progress = { moe: 0, counted, hostMs: chosenMs, pieceMs, layerMs: pieceMs };
    for (;;) {
      const cut = cuts.find((layer) => layer >= at.moe) ?? pools.length;
      const stop = this.#firstFault(pass, at.moe, cut) ?? cut;
      if (stop === pools.length) break;
      at = this.#goThrough(pass, work, at, { stop, cut });
    }
    const workedMs = at.layerMs + (pools.length - at.moe) * work.layerMs + costs.passMs;
    const endMs = workedMs + costs.readbackMs;
    this.counters.readbacks++;
    this.#count(pass, at.counted, pools.length, endMs);
    guesser?.observe(pass.tokens, pass.ids);
    for (const token of pass.tokens) this.#computed.add(token);
    if (pass.tokens.length === 1) {
      gauge.endPass({
        faultMs: costs.readbackMs + (costs.skippedLayerMs * pools.length) / 2,
        msPerByte: loads.msPerByte,
      });
    }
    return endMs;
  }

  /** When the host knows all choices that are made at the begin of the pass; it asks only where some layer can miss. */
  #readAll({ tokens }: TracedPass, nowMs: number): number {
    const { cache, pools, lead, costs } = this.#parts;
    const whole = pools.every((pool) => cache.ready(pool).length === cache.experts);
    if (lead !== "pass" || tokens.length > 1 || whole) return nowMs;
    this.counters.readbacks++;
    return nowMs + costs.readbackMs;
  }

  /** Brings what the first layer is known to choose, where RAM has it; the number of layers served. */
  #serveKnown({ tokens, ids }: TracedPass, nowMs: number): number {
    const { cache, tiers, loads, pools, topK, firstSeesToken } = this.#parts;
    if (!firstSeesToken || tokens.length > 1 || !this.#computed.has(tokens[0]!)) return 0;
    const [pool, chosen] = [pools[0]!, ids[0]!];
    const atHand = (expert: number) => {
      const state = cache.state(pool, expert);
      return state === "ready" || (state === "absent" && tiers.locate(pool, expert) === "ram");
    };
    if (!chosen.every(atHand)) return 0;
    this.#count({ tokens, ids }, 0, 1, nowMs);
    const plan = planFault({ pool, ids: chosen, topK, cache });
    for (let round = plan.next(); round; round = plan.next()) {
      for (const load of round.loads) loads.begin(pool, load, "demand", nowMs);
      plan.dispatch();
    }
    return 1;
  }

  /** From where a pass is through layer `stop`, which is the next cut or, before it, one that faults. */
  #goThrough(
    pass: TracedPass,
    work: Work,
    at: Progress,
    { stop, cut }: { readonly stop: number; readonly cut: number },
  ): Progress {
    const dueMs = at.layerMs + (stop - at.moe + 1) * work.layerMs - work.expertMs;
    const routerMs = Math.max(at.pieceMs, dueMs - work.leadMs);
    const faulted = stop < cut;
    const hostMs = faulted
      ? this.#readFault(routerMs, cut - stop)
      : this.#readCut(routerMs, at.hostMs);
    this.#count(pass, at.counted, stop + 1, hostMs);
    if (!faulted) this.#guessLayer(pass, stop + 1, hostMs);
    // Behind a fault, what lies between the router and the experts is still to be done.
    const expertsMs = faulted ? hostMs + (dueMs - routerMs) : dueMs + work.readMs;
    const ahead = this.#parts.lead !== "none" && !faulted;
    const served = this.#serve(pass.ids[stop]!, { ...work, moe: stop, hostMs, expertsMs, ahead });
    return { moe: stop + 1, counted: stop + 1, ...served };
  }

  #workOf(tokens: number): Work {
    const { costs, lead } = this.#parts;
    const layerMs = costs.layerMs + (tokens - 1) * costs.prefillLayerMs;
    const expertMs = costs.layerMs > 0 ? layerMs * (costs.expertMs / costs.layerMs) : layerMs;
    const [pass, token] = [Infinity, Infinity];
    const leadMs = { none: 0, attention: layerMs - expertMs, layer: layerMs, pass, token }[lead];
    const hiddenMs = KNOWN_AT_BEGIN.has(lead) ? 0 : Math.min(leadMs, costs.readbackMs);
    return { layerMs, expertMs, leadMs, readMs: Math.max(0, hiddenMs - costs.overlapMs) };
  }

  #cutsOf(tokens: number, work: Work): readonly number[] {
    const { cache, pacing, estimate, costs, pools } = this.#parts;
    const whole = pools.map((pool) => cache.ready(pool).length === cache.experts);
    if (tokens > 1) return pools.flatMap((_, moe) => (whole[moe] ? [] : [moe]));
    const { readbackMs: readback, skippedLayerMs: skipped } = costs;
    const overlap = Math.min(work.leadMs, readback, costs.overlapMs);
    const faultProbability = estimate.probabilities.map((probability, moe) =>
      whole[moe] ? 0 : probability,
    );
    const turnaround = readback;
    const passCosts = { readback, layer: work.layerMs, skipped, overlap, turnaround };
    return pacing.cuts({ faultProbability, costs: passCosts }).filter((moe) => !whole[moe]);
  }

  /** The first layer of `[first, end)` that the GPU finds with an expert absent. */
  #firstFault({ ids }: TracedPass, first: number, end: number): number | undefined {
    for (let moe = first; moe < end; moe++) if (this.#misses(ids[moe]!, moe)) return moe;
    return undefined;
  }

  #misses(ids: Uint32Array, moe: number): boolean {
    const { cache, pools } = this.#parts;
    return ids.some((expert) => cache.state(pools[moe]!, expert) !== "ready");
  }

  #readFault(routerMs: number, skippedLayers: number): number {
    const { skippedLayerMs, readbackMs } = this.#parts.costs;
    this.counters.stops++;
    this.counters.readbacks++;
    return routerMs + skippedLayers * skippedLayerMs + readbackMs;
  }

  #readCut(routerMs: number, hostMs: number): number {
    if (KNOWN_AT_BEGIN.has(this.#parts.lead)) return hostMs;
    this.counters.readbacks++;
    return routerMs + this.#parts.costs.readbackMs;
  }

  /** Counts the choices of layers `[first, end)`, which the host knows from now on. */
  #count({ tokens, ids }: TracedPass, first: number, end: number, nowMs: number): void {
    const { cache, tiers, loads, estimate, gauge, pools } = this.#parts;
    loads.settle(nowMs);
    for (let moe = first; moe < end; moe++) {
      const pool = pools[moe]!;
      const before = cache.counters;
      if (tokens.length === 1) {
        gauge.asked(moe, ids[moe]!);
        estimate.observe(moe, this.#misses(ids[moe]!, moe));
      }
      cache.use(pool, ids[moe]!);
      tiers.use(pool, ids[moe]!);
      this.counters.hits[moe]! += cache.counters.hits - before.hits;
      this.counters.misses[moe]! += cache.counters.misses - before.misses;
    }
  }

  /** Computes a layer's experts in rounds. */
  #serve(ids: Uint32Array, layer: KnownLayer): Pick<Progress, "hostMs" | "pieceMs" | "layerMs"> {
    const { cache, tiers, loads, pools, topK } = this.#parts;
    const pool = pools[layer.moe]!;
    let { hostMs } = layer;
    let gpuMs = Math.max(layer.expertsMs, hostMs);
    let pieceMs = gpuMs;
    let waited = false;
    const plan = planFault({ pool, ids, topK, cache });
    for (let round = plan.next(); round; round = plan.next()) {
      const instant =
        round.waits.length === 0 &&
        round.loads.every(({ expert }) => tiers.locate(pool, expert) === "ram");
      waited ||= !instant || (!layer.ahead && round.loads.length > 0);
      for (const load of round.loads) loads.begin(pool, load, "demand", hostMs);
      const under = [...round.loads.map(({ expert }) => expert), ...round.waits].filter(
        (expert) => cache.state(pool, expert) === "loading",
      );
      hostMs = Math.max(hostMs, ...under.map((expert) => loads.landingMs(pool, expert)));
      loads.settle(hostMs);
      const slots = plan.dispatch();
      if (!slots) continue;
      pieceMs = Math.max(gpuMs, hostMs, loads.uploadedMs);
      this.counters.stallMs += pieceMs - gpuMs;
      const computed = slots.filter((slot) => slot !== ABSENT).length;
      gpuMs = pieceMs + (layer.expertMs * computed) / slots.length;
    }
    if (waited) this.counters.faults++;
    return { hostMs, pieceMs, layerMs: gpuMs };
  }

  #guessPass({ tokens, ids }: TracedPass, nowMs: number): void {
    const { guesser, lead } = this.#parts;
    if (tokens.length > 1) return;
    if (KNOWN_AT_BEGIN.has(lead)) {
      const known = ids.flatMap((chosen, moe) =>
        [...chosen].map((expert) => ({ moe, expert, probability: 1 })),
      );
      this.#prefetch(known, nowMs, Infinity);
    } else if (guesser) this.#prefetch(guesser.beforePass(tokens[0]!), nowMs);
  }

  #guessLayer({ tokens, ids }: TracedPass, moe: number, nowMs: number): void {
    const { guesser, pools } = this.#parts;
    if (tokens.length > 1 || moe >= pools.length || !guesser) return;
    this.#prefetch(guesser.beforeLayer(moe, ids.slice(0, moe)), nowMs);
  }

  #prefetch(guesses: readonly ExpertGuess[], nowMs: number, limit = this.#parts.topK): void {
    const { cache, pools, gauge, loads } = this.#parts;
    gauge.guessed(guesses);
    if (!gauge.enabled) return;
    const prefetches = planPrefetch({
      cache,
      pools,
      guesses,
      limitPerPool: limit,
      minProbability: PREFETCH_MIN_PROBABILITY,
    });
    gauge.issued(prefetches);
    for (const { pool, load } of prefetches) loads.begin(pool, load, "prefetch", nowMs);
  }
}
