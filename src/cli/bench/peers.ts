import type { Spread } from "./spread.ts";
import type { Section, Table } from "./tables.ts";

/** What is compared: a MoE layer, or a whole model. */
export const PEERS_PARTS = ["layer", "model"] as const;

export type PeersPart = (typeof PEERS_PARTS)[number];

/** Other engines beside Sluice, in one page, turn by turn. Plain data. */
export interface PeersTask {
  readonly kind: "peers";
  readonly parts: readonly PeersPart[];
  readonly promptTokens: number;
  readonly decodeTokens: number;
  readonly repeats: number;
}

/** What was asked of WebGPU. */
export interface GpuCounts {
  readonly dispatches: number;
  readonly submits: number;
  /** Of which one is the result's own. */
  readonly readbacks: number;
  readonly bindGroups: number;
  readonly bufferWrites: number;
}

/** One engine's MoE layer. */
export interface LayerRow {
  readonly engine: EngineName;
  readonly tokens: number;
  /** Undefined where it does not run. */
  readonly ms?: Spread;
  readonly counts?: GpuCounts;
  /** Largest difference from the layer in f64, over the largest output, of the tokens that came out right. */
  readonly error?: number;
  /** A sentence: why it does not run, or how it ran. */
  readonly note?: string;
}

/** One engine's speed with a whole model, in tokens a second. */
export interface ModelRow {
  readonly engine: EngineName;
  readonly prefill?: Spread;
  readonly decode?: Spread;
  readonly note?: string;
}

/** Engines, by what the report calls them. */
export const ENGINES = {
  sluice: "Sluice",
  sluiceWasm: "Sluice, WASM",
  ortWebgpu: "onnxruntime-web, WebGPU",
  ortWasm: "onnxruntime-web, WASM",
  wllamaCpu: "wllama, CPU",
  wllamaWebgpu: "wllama, WebGPU",
} as const;

export type EngineName = (typeof ENGINES)[keyof typeof ENGINES];

/** What a comparison found. */
export interface PeersResult {
  readonly adapter: string;
  readonly layer: readonly LayerRow[];
  readonly model: readonly ModelRow[];
}

/** What is to be shown: Sluice so many times faster than a peer. */
interface Target {
  readonly what: string;
  readonly wanted: number;
  ratio(result: PeersResult): number | undefined;
}

const TARGETS: readonly Target[] = [
  layerTarget("one token through a MoE layer", 1, 15),
  layerTarget("64 tokens through a MoE layer", 64, 10),
  {
    what: `decoding with the whole model, beside ${ENGINES.wllamaWebgpu}`,
    wanted: 10,
    ratio: (result) => decodeRatio(result, ENGINES.sluice, ENGINES.wllamaWebgpu),
  },
  {
    what: `decoding in WebAssembly, beside ${ENGINES.wllamaCpu}`,
    wanted: 0.6,
    ratio: (result) => decodeRatio(result, ENGINES.sluiceWasm, ENGINES.wllamaCpu),
  },
];

function decodeRatio({ model }: PeersResult, a: EngineName, b: EngineName): number | undefined {
  const speed = (engine: EngineName) => model.find((row) => row.engine === engine)?.decode;
  return quotient(speed(a), speed(b));
}

function layerTarget(what: string, tokens: number, wanted: number): Target {
  return {
    what: `${what}, beside ${ENGINES.ortWebgpu}`,
    wanted,
    ratio({ layer }) {
      const time = (engine: EngineName) =>
        layer.find((row) => row.engine === engine && row.tokens === tokens)?.ms;
      return quotient(time(ENGINES.ortWebgpu), time(ENGINES.sluice));
    },
  };
}

/** One target, and whether it is met; undefined where the peer did not run. */
export interface TargetResult {
  readonly what: string;
  readonly wanted: number;
  readonly ratio: number | undefined;
  readonly met: boolean | undefined;
}

/** Ratios of medians against what is wanted. */
export function targetsOf(result: PeersResult): TargetResult[] {
  return TARGETS.map(({ what, wanted, ratio }) => {
    const reached = ratio(result);
    return {
      what,
      wanted,
      ratio: reached,
      met: reached === undefined ? undefined : reached >= wanted,
    };
  });
}

function quotient(a: Spread | undefined, b: Spread | undefined): number | undefined {
  return a && b && a.median / b.median;
}

/** The comparison as tables. */
export function peerSections(result: PeersResult): Section[] {
  const { layer, model, adapter } = result;
  return [
    ...(layer.length > 0 ? [{ title: `a MoE layer on ${adapter}`, rows: layerTable(result) }] : []),
    ...(model.length > 0
      ? [{ title: `the whole model on ${adapter}, in tokens a second`, rows: modelTable(result) }]
      : []),
    { title: "what is wanted", rows: targetTable(result) },
  ];
}

function layerTable({ layer }: PeersResult): Table {
  const sluiceMs = (tokens: number) =>
    layer.find((row) => row.engine === ENGINES.sluice && row.tokens === tokens)?.ms;
  return [
    [
      ...["engine", "tokens", "ms", "least", "most", "times Sluice's"],
      ...["dispatches", "submits", "readbacks", "bind groups", "writes", "error", "note"],
    ],
    ...layer.map(({ engine, tokens, ms, counts, error, note = "" }) => [
      engine,
      tokens,
      ...[ms?.median, ms?.least, ms?.most, quotient(ms, sluiceMs(tokens))].map(cell),
      ...[counts?.dispatches, counts?.submits, counts?.readbacks].map(cell),
      ...[counts?.bindGroups, counts?.bufferWrites, error].map(cell),
      note,
    ]),
  ];
}

function modelTable({ model }: PeersResult): Table {
  const sluice = model.find(({ engine }) => engine === ENGINES.sluice);
  return [
    [
      ...["engine", "prefill", "least", "most", "Sluice's, times"],
      ...["decode", "least", "most", "Sluice's, times", "note"],
    ],
    ...model.map(({ engine, prefill, decode, note = "" }) => [
      engine,
      ...[prefill?.median, prefill?.least, prefill?.most].map(cell),
      cell(quotient(sluice?.prefill, prefill)),
      ...[decode?.median, decode?.least, decode?.most].map(cell),
      cell(quotient(sluice?.decode, decode)),
      note,
    ]),
  ];
}

function targetTable(result: PeersResult): Table {
  return [
    ["", "times faster, wanted", "measured", ""],
    ...targetsOf(result).map(({ what, wanted, ratio, met }) => [
      what,
      wanted,
      cell(ratio),
      met === undefined ? "not measured" : met ? "met" : "NOT met",
    ]),
  ];
}

function cell(value: number | undefined): string | number {
  return value === undefined ? "" : Number(value.toPrecision(3));
}
