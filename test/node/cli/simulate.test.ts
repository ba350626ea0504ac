import { describe, expect, test } from "vitest";
import type { SimulationReport } from "../../../src/cli/simulate-report.ts";
import { TraceRecorder, type TraceShape } from "../../../src/experts/trace.ts";
import { serializeTrace } from "../../../src/experts/trace-file.ts";
import { tinyModel } from "../../helpers/tiny-models.ts";
import { callSluice, temporaryFile } from "./run-sluice.ts";

const SHAPE: TraceShape = {
  topK: 2,
  experts: 8,
  layers: [0, 1],
  recordBytes: [1_000_000, 500_000],
  filled: true,
  routerInput: "pre-attention",
};

/** A trace of a prompt of 4 tokens and 40 generated ones, whose layers go round all experts two at a time. */
function traceText(shape: TraceShape = SHAPE): string {
  const recorder = new TraceRecorder(shape);
  const prompt = Uint32Array.of(0, 1, 2, 3, 4, 5, 6, 7);
  recorder.record([1, 2, 3, 4], [prompt, prompt]);
  for (let token = 0; token < 40; token++) {
    const first = (2 * token) % 8;
    recorder.record([token], [Uint32Array.of(first, first + 1), Uint32Array.of(0, 1)]);
  }
  return serializeTrace(recorder.trace());
}

async function simulateJson(...flags: readonly string[]): Promise<SimulationReport> {
  const path = await temporaryFile("trace.json", traceText());
  const { status, stdout, stderr } = await callSluice(["simulate", path, ...flags, "--json"]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return JSON.parse(stdout) as SimulationReport;
}

describe("simulate", () => {
  test("tries every budget with every policy, and says which budget is enough", async () => {
    const report = await simulateJson(
      ...["--gpu-budget", "25%", "--gpu-budget", "75%", "--gpu-budget", "100%"],
      ...["--policy", "lru", "--policy", "belady"],
    );

    expect(report.settings).toMatchObject({ predictor: "pre-attention", pacing: "adaptive" });
    expect(report.rows.map(({ gpuBudget, policy }) => [gpuBudget, policy])).toEqual([
      ["25%", "lru"],
      ["25%", "belady"],
      ["75%", "lru"],
      ["75%", "belady"],
      ["100%", "lru"],
      ["100%", "belady"],
    ]);
    const misses = report.rows.map((row) => (row.error === undefined ? row.result.misses : -1));
    // Layer 0 goes round 8 experts: LRU with 6 slots misses as often as with 2; layer 1 misses in the prompt only.
    expect(misses[2]! - misses[0]!).toBeLessThan(0);
    expect(misses[3]!).toBeLessThan(misses[2]!);
    expect(misses.slice(4)).toEqual([0, 0]);
    expect(report.advice).toMatch(/^By these costs, --gpu-budget 100% --policy lru is enough: \d/);
  });

  test("prints a table, with --layers the hit rate of each layer too", async () => {
    const path = await temporaryFile("trace.json", traceText());

    const { status, stdout } = await callSluice([
      ...["simulate", path, "--gpu-budget", "50%", "--gpu-budget", "10%", "--layers"],
    ]);

    expect(status).toBe(0);
    expect(stdout).toContain("44 tokens, 2 MoE layers, 2 of 8 experts a token");
    expect(stdout).toMatch(/^50% +lfu-decayed +4 +6\.00 MB +\d/m);
    expect(stdout).toMatch(/^10% +lfu-decayed +- +A budget of 10 % keeps 0 of 8/m);
    expect(stdout).toMatch(/^1 +9\d\.\d %$/m);
    expect(stdout.trimEnd().split("\n").at(-1)).toMatch(/--gpu-budget 50% .* is enough/);
  });

  test("goes by the costs of a file", async () => {
    const slow = await temporaryFile("costs.json", '{"passMs":1000}');

    const fast = await simulateJson("--gpu-budget", "100%");
    const report = await simulateJson("--gpu-budget", "100%", "--costs", slow);

    const speedOf = ({ rows: [row] }: SimulationReport) =>
      row?.error === undefined ? (row?.result.tokensPerSecond ?? 0) : 0;
    expect(report.costs.passMs).toBe(1000);
    expect(speedOf(report)).toBeLessThan(1);
    expect(speedOf(fast)).toBeGreaterThan(100);
  });

  test("a first visit fetches from the network what a second one has on disk", async () => {
    const loadsOf = ({ rows: [row] }: SimulationReport) =>
      row?.error === undefined ? row?.result.loads : undefined;

    const first = loadsOf(await simulateJson("--gpu-budget", "50%", "--cold"));
    const second = loadsOf(await simulateJson("--gpu-budget", "50%", "--ram-budget", "0B"));

    expect(first?.source).toBe(16);
    expect(second).toMatchObject({ ram: 0, source: 0 });
    expect(second?.disk).toBeGreaterThan(16);
  });

  test("takes bytes and memory plan from a model's header, for traces that lack them", async () => {
    const model = await temporaryFile("model.gguf", tinyModel({ architecture: "smallthinker" }));
    const { topK, experts, layers } = SHAPE;
    const trace = await temporaryFile("trace.json", traceText({ topK, experts, layers }));
    const args = ["simulate", trace, "--gpu-budget", "50%", "--json"];

    const { status, stdout } = await callSluice([...args, "--model", model]);
    const without = await callSluice(args);

    expect(status).toBe(0);
    const [row] = (JSON.parse(stdout) as SimulationReport).rows;
    // Two layers of 4 slots, each of three f32 matrices of 256 x 256, beside what is always there.
    expect(row).toMatchObject({ slots: [4, 4] });
    expect(row?.error === undefined && row && row.gpuBytes > 8 * 786432).toBe(true);
    expect(without.status).toBe(2);
    expect(without.stderr).toMatch(/^sluice: bad-input: .*give the model.*--model MODEL\.\n$/);
  });
});

describe("bad input of simulate ends with status 2 and one line", () => {
  const cases: Record<string, { flags?: readonly string[]; text?: string; says: RegExp }> = {
    "a file that is no trace": { text: "Once upon", says: /^sluice: bad-file: .*not a routing tr/ },
    "an empty trace": {
      text: serializeTrace(new TraceRecorder(SHAPE).trace()),
      says: /^sluice: bad-input: .*the trace is empty/,
    },
    "an unknown policy": {
      flags: ["--policy", "fifo"],
      says: /^sluice: bad-input: --policy is "fifo", must be one of lru, .*belady/,
    },
    "an unknown predictor": {
      flags: ["--predictor", "oracle"],
      says: /^sluice: bad-input: --predictor is "oracle", must be one of auto, none/,
    },
    "a predictor of other routers": {
      flags: ["--predictor", "hash"],
      says: /^sluice: bad-input: The predictor "hash" knows routers whose input is "token"/,
    },
    "an unknown pacing rule": {
      flags: ["--pacing", "slow"],
      says: /^sluice: bad-input: --pacing is "slow", must be one of adaptive/,
    },
    "a budget that is none": {
      flags: ["--ram-budget", "lots"],
      says: /^sluice: bad-input: "lots" is not a budget/,
    },
    "no budget that works": {
      flags: ["--gpu-budget", "1%"],
      says: /^sluice: budget-too-small: A budget of 1 %/,
    },
    "a missing file of costs": {
      flags: ["--costs", "no-such-costs.json"],
      says: /^sluice: not-found: no-such-costs.json: the file of --costs/,
    },
  };

  test.for(Object.keys(cases))("%s", async (name) => {
    const { flags = [], text = traceText(), says } = cases[name]!;
    const path = await temporaryFile("trace.json", text);

    const { status, stdout, stderr } = await callSluice(["simulate", path, ...flags]);

    expect(stderr).toMatch(says);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  });

  test("a missing trace", async () => {
    const { status, stderr } = await callSluice(["simulate", "no-such-trace.json"]);

    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: "sluice: not-found: no-such-trace.json: the file of the trace cannot be read.\n",
    });
  });

  test("the model of another trace", async () => {
    const model = await temporaryFile("model.gguf", tinyModel({ architecture: "smallthinker" }));
    const trace = await temporaryFile("trace.json", traceText({ ...SHAPE, experts: 16 }));

    const { status, stderr } = await callSluice(["simulate", trace, "--model", model]);

    expect(status).toBe(2);
    expect(stderr).toMatch(/^sluice: bad-input: The trace has 2 pools of 16 experts/);
  });
});
