import fc from "fast-check";
import { describe, expect } from "vitest";
import { weightFormats } from "../../../src/formats/registry.ts";
import {
  candidates,
  rankingParts,
  routerInputParts,
  rowDotsParts,
  variants,
} from "../../../src/kernels/parts.ts";
import { NO_PAGES, ROUTER_KEEPS, router, routerConstants } from "../../../src/kernels/router.ts";
import { createRandom, type Random } from "../../../src/numeric/random.ts";
import {
  chooseExperts,
  type ExpertVectors,
  type RoutingRule,
  ranksByScore,
} from "../../../src/routing/choose.ts";
import { type ScoreFunctionName, scoreFunctions } from "../../../src/routing/registry.ts";
import type { ScoreFunction } from "../../../src/routing/router.ts";
import { runs } from "../../helpers/random-cases.ts";
import { kernelTest, type RunKernel } from "../../helpers/run-kernel.ts";
import { expectWithin } from "../../helpers/within.ts";
import { layerNormReference } from "../../reference/kernels/layer_norm.ts";
import type { InputNorm } from "../../reference/kernels/product.ts";
import { rmsNormReference } from "../../reference/kernels/rms_norm.ts";
import {
  passedOver,
  type RouterSummand,
  routerLogits,
  routerWeights,
} from "../../reference/kernels/router.ts";
import { ABSENT } from "./arena.ts";
import {
  encodeMatrix,
  formatCases,
  leastCols,
  mostLanes,
  plants,
  randomInput,
  randomMatrix,
  variantCases,
} from "./cases.ts";
import { splitChoices } from "./choices.ts";
import { inputOf, packVectors, randomNorm } from "./inputs.ts";

const NUM_RUNS = runs(5);
const routerInputNames = Object.keys(routerInputParts) as (keyof typeof routerInputParts)[];
const SOFTMAX = { score: "softmax", topK: 4, renormalise: false, scale: 1 } as const;
/** The layer under test, and where its rows of the page table and of the routing buffers start. */
const MOE_INDEX = 2;
const PAGE_FIRST = 7;
const ROUTING_FIRST = 5;

/** Everything that a test of the router chooses. */
interface RouterCase {
  readonly weights: Float32Array;
  readonly packed: Uint8Array<ArrayBuffer>;
  readonly format: (typeof formatCases)[number]["format"];
  readonly variant: (typeof formatCases)[number]["variant"];
  /** [tokens, hidden] */
  readonly x: Float32Array;
  /** What is taken of x first; default nothing. */
  readonly norm?: (InputNorm & { readonly weight: Float32Array }) | undefined;
  /** What that norm is of a sum with: then x is normalised with these weights before. */
  readonly summand?: { readonly [part in keyof RouterSummand]: Float32Array } | undefined;
  readonly tokens: number;
  readonly rule: RoutingRule;
  /** [experts], of this layer */
  readonly pages: Uint32Array;
  readonly fault?: number;
  /** [experts] each; default none. */
  readonly routerBias?: Float32Array;
  readonly selectionBias?: Float32Array;
  readonly expertScale?: Float32Array;
  /** Default: 1. */
  readonly logitScale?: number;
  /** Default: true. */
  readonly looksUp?: boolean;
}

/** Runs the router for `tokens` tokens, in a grid and buffers with room for one more. */
async function route(run: RunKernel, routed: RouterCase) {
  const { weights, x, tokens, rule, pages, looksUp = true } = routed;
  const bytes = 4 * (ROUTING_FIRST + (tokens + 1) * rule.topK);
  const pageTable = new Uint32Array(PAGE_FIRST + pages.length + 3).fill(ABSENT);
  pageTable.set(pages, PAGE_FIRST);
  const experts = pages.length;
  const { routerBias, selectionBias, expertScale, norm, summand } = routed;
  const keeps = keptBy(routed);
  const ofSum = norm && summand && { ...norm, weight: [...norm.weight, ...summand.weight] };
  const vectors = packVectors(ofSum ?? norm, [routerBias, selectionBias, expertScale]);
  const [router_bias, selection_bias, expert_scale] = vectors.starts as [number, number, number];
  const score: ScoreFunction = scoreFunctions[rule.score];
  const { byLogit, byScore } = rankingParts;
  const { choices, y, fault } = await run(router, {
    params: {
      cols: weights.length / experts,
      experts,
      top_k: rule.topK,
      moe_index: MOE_INDEX,
      page_first: looksUp ? PAGE_FIRST : NO_PAGES,
      routing_first: ROUTING_FIRST,
      choice_count: bytes / 4,
      renormalise: rule.renormalise || score.weigh ? 1 : 0,
      scale: rule.scale,
      router_bias,
      selection_bias,
      expert_scale,
      groups: rule.groups?.count ?? 1,
      groups_kept: rule.groups?.keep ?? 1,
      epsilon: norm?.epsilon ?? 0,
      logit_scale: routed.logitScale ?? 1,
    },
    buffers: {
      x,
      page_table: pageTable,
      vectors: vectors.content,
      choices: 3 * bytes,
      residual: summand?.residual ?? 16,
      y: keeps === "nothing" ? 16 : 4 * x.length,
    },
    weights: routed.packed,
    parts: [
      ...rowDotsParts(routed.format, "router", { lanes: "PARTS", alone: true }),
      routerInputParts[summand ? "summed" : inputOf(norm)],
      variants.serial.matrix.reduce,
      ...score.parts,
      ranksByScore(ruled(routed)) ? byScore : byLogit,
    ],
    constants: {
      ...routerConstants(routed.variant.router.constants, experts),
      EXPERTS: experts,
      KEEPS: ROUTER_KEEPS[keeps],
    },
    control: { tokens, fault: routed.fault ?? 0 },
    tokens: tokens + 1,
  });
  return { ...splitChoices(choices), y, fault };
}

/** What the router leaves for others. */
function keptBy({ norm, summand }: RouterCase): keyof typeof ROUTER_KEEPS {
  if (summand) return "sum";
  return norm?.bias ? "norm" : "nothing";
}

/** What decides whether experts are ranked by score. */
function ruled({ rule: { groups }, selectionBias }: RouterCase) {
  return { groups, selectionBias };
}

/** Expects ids, slots, weights and fault to be right, and nothing else to be written. */
function expectRouted(result: Awaited<ReturnType<typeof route>>, routed: RouterCase): void {
  const { weights, x, tokens, rule, pages, looksUp = true } = routed;
  const { topK } = rule;
  const { ids, slots, expert_weights } = result;
  const hidden = weights.length / pages.length;
  const logits = routerLogits(weights, x.subarray(0, tokens * hidden), hidden, {
    bias: routed.routerBias,
    norm: routed.norm,
    summand: routed.summand,
    scale: Math.fround(routed.logitScale ?? 1),
  });
  const byLogit = !ranksByScore(ruled(routed));
  for (const [token, own] of logits.entries()) {
    const first = ROUTING_FIRST + token * topK;
    const chosen = ids.words.slice(first, first + topK);
    expect(new Set(chosen).size).toBe(topK);
    for (let rank = 0; rank < topK; rank++) {
      expect(chosen[rank]).toBeLessThan(pages.length);
      if (!byLogit) continue;
      expect(passedOver(own, chosen, rank), `token ${token}, before rank ${rank}`).toBe(undefined);
    }
    const looked = looksUp
      ? chosen.map((id) => pages[id]!)
      : slots.before.slice(first, first + topK);
    expect(slots.words.slice(first, first + topK)).toEqual(looked);
    expectWithin(
      expert_weights.floats.slice(first, first + topK),
      routerWeights(own, chosen, rule, { scale: routed.expertScale }),
    );
  }
  const end = ROUTING_FIRST + tokens * topK;
  for (const { words, before } of [ids, slots, expert_weights]) {
    expect(words.slice(0, ROUTING_FIRST)).toEqual(before.slice(0, ROUTING_FIRST));
    expect(words.slice(end)).toEqual(before.slice(end));
  }
  if (routed.summand && routed.norm) {
    const { weight, residual } = routed.summand;
    const own = x.subarray(0, tokens * hidden);
    const finish = { residual, scale: undefined };
    expectWithin(
      result.y.floats.slice(0, own.length),
      rmsNormReference(own, weight, routed.norm.epsilon, finish),
    );
  }
  if (routed.norm?.bias) {
    const { weight, bias, epsilon, centred = true } = routed.norm;
    const own = x.subarray(0, tokens * hidden);
    const options = { epsilon: Math.fround(epsilon), centred };
    expectWithin(
      result.y.floats.slice(0, own.length),
      layerNormReference(own, weight, Float32Array.from(bias), options),
    );
  }
  const unwritten = keptBy(routed) === "nothing" ? 0 : tokens * hidden;
  expect(result.y.words.slice(unwritten)).toEqual(result.y.before.slice(unwritten));
  const absent = looksUp && slots.words.slice(ROUTING_FIRST, end).includes(ABSENT);
  expect(result.fault).toBe(absent ? MOE_INDEX + 1 : (routed.fault ?? 0));
}

/** A page table in which about one expert in `oneIn` is absent. */
function randomPages(random: Random, experts: number, oneIn: number): Uint32Array {
  return Uint32Array.from({ length: experts }, () =>
    random.integer(oneIn) === 0 ? ABSENT : random.integer(1000),
  );
}

/** Every variant with every input; formats in turn. */
const WIDE = { ...variants.workgroup, router: candidates.router["workgroup-1024"] };

/** Also by the widest workgroups, where the device allows them. */
const CASES = [
  ...variantCases,
  ...(mostLanes < 1024 ? [] : [{ name: "1024 lanes", variant: WIDE }]),
]
  .flatMap(({ name, variant }) => routerInputNames.map((input) => ({ name, variant, input })))
  .map((each, index) => {
    const { format } = formatCases[index % formatCases.length]!;
    return { ...each, format, name: `${format.name}, ${each.name}, ${each.input} input` };
  });

describe.for(CASES)("router, $name", ({ format, variant, input }) => {
  kernelTest("chooses, weighs and looks up as f64 does", async ({ run }) => {
    const shape = fc.record({
      experts: fc.constantFrom(1, 3, 8, 13, 65, 128),
      hidden: fc.constantFrom(leastCols(format), 3 * leastCols(format)),
      topK: fc.constantFrom(1, 2, 4, 8),
      tokens: fc.integer({ min: 1, max: 5 }),
      renormalise: fc.boolean(),
      scale: fc.constantFrom(1, 2.5),
      logitScale: fc.constantFrom(1, 0.3),
      absent: fc.constantFrom(2, 50),
      // Experts with the row of an expert before them: equal logits, whatever the rounding.
      copies: fc.constantFrom("none", "some", "all"),
      plant: fc.constantFrom(...plants),
      seed: fc.integer(),
    });
    await fc.assert(
      fc.asyncProperty(shape, async (drawn) => {
        const { experts, hidden, tokens, renormalise, scale, absent, copies, plant, seed } = drawn;
        const { logitScale } = drawn;
        const random = createRandom(seed);
        const small = (value: number) => value / 8;
        const plain = randomInput(random, experts * hidden);
        for (let expert = 1; expert < experts; expert++) {
          if (copies === "none" || (copies === "some" && random.integer(2) === 0)) continue;
          const from = copies === "all" ? 0 : random.integer(expert);
          plain.copyWithin(expert * hidden, from * hidden, (from + 1) * hidden);
        }
        const x = randomInput(random, (tokens + 1) * hidden, plant).map(small);
        const isSum = input === "summed";
        const norm = randomNorm(random, isSum ? "normed" : input, hidden);
        const summand = {
          weight: randomInput(random, hidden),
          residual: randomInput(random, (tokens + 1) * hidden),
        };
        const routed = {
          ...encodeMatrix(format, plain),
          format,
          variant,
          x,
          norm: norm && {
            ...norm,
            weight: norm.weight.map(small),
            ...(norm.bias && { bias: norm.bias.map(small) }),
          },
          summand: isSum ? summand : undefined,
          tokens,
          logitScale,
          rule: { score: "softmax", topK: Math.min(drawn.topK, experts), renormalise, scale },
          pages: randomPages(random, experts, absent),
        } as const;

        expectRouted(await route(run, routed), routed);
      }),
      { numRuns: NUM_RUNS },
    );
  });
});

/** A router of the identity: a token's logits are its row. */
function identityRouter(
  variant: RouterCase["variant"],
  logits: readonly (readonly number[])[],
  rule: RoutingRule,
): RouterCase {
  const format = weightFormats.f32;
  const experts = logits[0]!.length;
  const hidden = Math.ceil(experts / 8) * 8;
  const plain = new Float32Array(experts * hidden);
  for (let expert = 0; expert < experts; expert++) plain[expert * hidden + expert] = 1;
  const x = new Float32Array((logits.length + 1) * hidden);
  for (const [token, row] of logits.entries()) x.set(row, token * hidden);
  return {
    ...encodeMatrix(format, plain),
    format,
    variant,
    x,
    tokens: logits.length,
    rule,
    pages: Uint32Array.from({ length: experts }, (_, expert) => 100 + expert),
  };
}

describe.for(variantCases)("router, $name", ({ variant }) => {
  const format = weightFormats.f32;
  const routedBy = (logits: readonly (readonly number[])[], rule: RoutingRule) =>
    identityRouter(variant, logits, rule);

  kernelTest("gives exactly the ids of f64 where many logits are equal", async ({ run }) => {
    const logit = fc.constantFrom(-1, 0, 1, 2);
    const tokens = fc.constantFrom(5, 64, 65).chain((experts) => {
      const row = fc.array(logit, { minLength: experts, maxLength: experts });
      return fc.array(row, { minLength: 1, maxLength: 3 });
    });
    await fc.assert(
      fc.asyncProperty(tokens, async (logits) => {
        const routed = routedBy(logits, SOFTMAX);

        const result = await route(run, routed);

        const expected = logits.flatMap(
          (row) => chooseExperts(Float64Array.from(row), SOFTMAX).experts,
        );
        const ids = result.ids.words.slice(ROUTING_FIRST, ROUTING_FIRST + expected.length);
        expect([...ids]).toEqual(expected);
        expectRouted(result, routed);
      }),
      { numRuns: NUM_RUNS },
    );
  });

  kernelTest("takes 512 experts and chooses 32", async ({ run }) => {
    const random = createRandom(1);
    const matrix = randomMatrix(random, format, 512, 16);
    const routed = {
      ...matrix,
      format,
      variant,
      x: randomInput(random, 3 * 16),
      tokens: 2,
      rule: { ...SOFTMAX, topK: 32, renormalise: true },
      pages: randomPages(random, 512, 1000),
    };

    expectRouted(await route(run, routed), routed);
  });

  kernelTest.for([
    { name: "80 and -80", row: [80, -80, 80, -80, -80, 80, -80, 80] },
    { name: "one far above", row: [0, 0, 0, 1000, 0, 0, 0, 0] },
    { name: "all -1000", row: [-1000, -1000, -1000, -1000, -1000] },
  ])("softmax agrees with f64 where logits are $name", async ({ row }, { run }) => {
    for (const renormalise of [false, true]) {
      const routed = routedBy([row], { ...SOFTMAX, renormalise });

      expectRouted(await route(run, routed), routed);
    }
  });

  kernelTest("sigmoid agrees with f64, with sums below the least divisor too", async ({ run }) => {
    const far = [-30, -31, -32, -33, -34];
    const logits = [[1, -2, 0.5, 3, 0.5], far, [-80, 80, -80, -100, -90], [0, 0, 0, 0, 0]];
    for (const renormalise of [false, true]) {
      const routed = routedBy(logits, { score: "sigmoid", topK: 3, renormalise, scale: 2.5 });

      expectRouted(await route(run, routed), routed);
    }
  });

  kernelTest("reports an absent expert and still writes every token's choice", async ({ run }) => {
    const routed = routedBy(
      [
        [3, 2, 1, 0, 0],
        [0, 0, 1, 2, 3],
        [3, 2, 1, 0, 0],
      ],
      { ...SOFTMAX, topK: 2 },
    );
    routed.pages[4] = ABSENT;

    const result = await route(run, routed);

    expect(result.fault).toBe(MOE_INDEX + 1);
    expect([...result.ids.words.slice(ROUTING_FIRST, -2)]).toEqual([0, 1, 4, 3, 0, 1]);
    expectRouted(result, routed);
  });

  kernelTest("only chooses and weighs where the host looks up", async ({ run }) => {
    const routed = { ...routedBy([[3, 2, 1, 0, 0]], { ...SOFTMAX, topK: 2 }), looksUp: false };
    routed.pages.fill(ABSENT);

    expectRouted(await route(run, routed), routed);
  });

  kernelTest("does not report an absent expert that no token chose", async ({ run }) => {
    const routed = routedBy([[3, 2, 1, 0, 0]], { ...SOFTMAX, topK: 2 });
    routed.pages.fill(ABSENT, 2);

    expect((await route(run, routed)).fault).toBe(0);
  });

  kernelTest("goes on where a token of its own layer has faulted", async ({ run }) => {
    const routed = { ...routedBy([[3, 2, 1, 0, 0]], SOFTMAX), fault: MOE_INDEX + 1 };

    expectRouted(await route(run, routed), routed);
  });

  kernelTest.for([1, MOE_INDEX, MOE_INDEX + 2])(
    "does nothing once the layer of fault %i has faulted",
    async (fault, { run }) => {
      const routed = { ...routedBy([[3, 2, 1, 0, 0]], SOFTMAX), fault };
      routed.pages.fill(ABSENT);

      const result = await route(run, routed);

      expect(result.fault).toBe(fault);
      for (const { words, before } of [result.ids, result.slots, result.expert_weights, result.y]) {
        expect(words).toEqual(before);
      }
    },
  );

  kernelTest("keeps ids within the experts where logits are NaN", async ({ run }) => {
    const routed = routedBy([[Number.NaN, 1, 2, 3, 4]], SOFTMAX);

    const { ids } = await route(run, routed);

    const chosen = ids.words.slice(ROUTING_FIRST, ROUTING_FIRST + SOFTMAX.topK);
    expect(Math.max(...chosen)).toBeLessThan(5);
  });
});

/** Each score function with one of the variants, in turn: neither knows of the other. */
const scoreCases = (Object.keys(scoreFunctions) as ScoreFunctionName[]).map((score, index) => {
  const { name, variant } = variantCases[index % variantCases.length]!;
  return { name: `${score}, ${name},`, score, variant };
});

kernelTest.for(scoreCases)(
  "$name agrees with f64, with a bias of the router and a scale of each expert",
  async ({ score, variant }, { run }) => {
    // No two are so near to 2 % apart that sparsemixer could take a rival for none.
    const logit = fc.constantFrom(-30, -3, -1.01, -1, 0, 0.5, 1, 1.01, 4, 4.05, 12);
    const drawn = fc.record({
      rows: fc.array(fc.array(logit, { minLength: 13, maxLength: 13 }), {
        minLength: 1,
        maxLength: 3,
      }),
      topK: fc.constantFrom(1, 2, 5),
      renormalise: fc.boolean(),
      biased: fc.boolean(),
      scaled: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(drawn, async ({ rows, topK, renormalise, biased, scaled }) => {
        const rule = { score, topK, renormalise, scale: 2.5 };
        const bias = Float32Array.from({ length: 13 }, (_, expert) => 8 * (expert % 3));
        const scale = Float32Array.from({ length: 13 }, (_, expert) => 0.25 + expert);
        const routed = {
          ...identityRouter(variant, rows, rule),
          ...(biased && { routerBias: bias }),
          ...(scaled && { expertScale: scale }),
        };

        expectRouted(await route(run, routed), routed);
      }),
      { numRuns: NUM_RUNS },
    );
  },
);

/** Closer numbers that are made of other ones may be in another order in f32. */
const CLEAR = 1e-5;

/** Whether all experts and all groups that are worth about the same are worth just the same, made of the same numbers. */
function isClear(
  row: readonly number[],
  bias: readonly number[] | undefined,
  { score, groups }: Pick<RoutingRule, "score"> & { readonly groups: { readonly count: number } },
): boolean {
  const keys = Array.from(scoreFunctions[score].scores(Float64Array.from(row)), (value, expert) => {
    const added = bias?.[expert] ?? 0;
    return { worth: value + added, of: `${value} + ${added}` };
  });
  const size = row.length / groups.count;
  const pairs = Array.from({ length: groups.count }, (_, group) => {
    const own = keys.slice(group * size, (group + 1) * size);
    const best = own.toSorted((a, b) => b.worth - a.worth).slice(0, 2);
    const worth = best.reduce((sum, key) => sum + key.worth, 0);
    return { worth, of: best.map(({ of }) => of).join(" and ") };
  });
  return [keys, pairs].every((all) =>
    all.every((a) => all.every((b) => a.of === b.of || Math.abs(a.worth - b.worth) > CLEAR)),
  );
}

kernelTest.for(scoreCases.filter(({ score }) => scoreFunctions[score].growsWithLogit))(
  "$name gives exactly the ids of f64 with a selection bias and groups",
  async ({ score, variant }, { run }) => {
    // Sigmoids saturate; what a softmax leaves for others beside so great a logit is nothing that f32 could rank.
    const logit = fc.constantFrom(-2, -1, 0, 0.5, 1.3, ...(score === "softmax" ? [] : [80, 90]));
    const bias = fc.constantFrom(0, 0.11, 0.37, -0.23);
    const experts = 24;
    const vector = <T>(of: fc.Arbitrary<T>) =>
      fc.array(of, { minLength: experts, maxLength: experts });
    const drawn = fc.record({
      rows: fc.array(vector(logit), { minLength: 1, maxLength: 3 }),
      bias: fc.option(vector(bias), { nil: undefined }),
      groups: fc.constantFrom(
        { count: 1, keep: 1 },
        { count: 4, keep: 2 },
        { count: 12, keep: 3 },
        { count: 2, keep: 2 },
      ),
      topK: fc.constantFrom(1, 4, 6),
      renormalise: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(drawn, async ({ rows, bias, groups, topK, renormalise }) => {
        const rule = { score, topK, renormalise, scale: 1, groups };
        const selectionBias = bias && Float32Array.from(bias);
        for (const row of rows) fc.pre(isClear(row, bias, rule));
        const routed = {
          ...identityRouter(variant, rows, rule),
          ...(selectionBias && { selectionBias }),
        };
        const vectors: ExpertVectors = { selectionBias };

        const result = await route(run, routed);

        const expected = rows.flatMap(
          (row) => chooseExperts(Float64Array.from(row), rule, vectors).experts,
        );
        const ids = result.ids.words.slice(ROUTING_FIRST, ROUTING_FIRST + expected.length);
        expect([...ids]).toEqual(expected);
        expectRouted(result, routed);
      }),
      { numRuns: NUM_RUNS },
    );
  },
);

kernelTest.for(variantCases)(
  "chooses 32 of 512 experts in 16 groups, $name",
  async ({ variant }, { run }) => {
    const row = Array.from({ length: 512 }, (_, expert) => ((expert * 37) % 101) / 25 - 2);
    const rule = {
      score: "sigmoid",
      topK: 32,
      renormalise: true,
      scale: 2.5,
      groups: { count: 16, keep: 4 },
    } as const;
    const routed = identityRouter(variant, [row], rule);

    const result = await route(run, routed);

    const ids = result.ids.words.slice(ROUTING_FIRST, ROUTING_FIRST + 32);
    expect([...ids]).toEqual(chooseExperts(Float64Array.from(row), rule).experts);
    expectRouted(result, routed);
  },
);
