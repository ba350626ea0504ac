import attend from "../../shaders/attention/attend.wgsl?raw";
import source from "../../shaders/attention/attention.wgsl?raw";
import keys1 from "../../shaders/attention/keys_1.wgsl?raw";
import keys4 from "../../shaders/attention/keys_4.wgsl?raw";
import rows1 from "../../shaders/attention/rows_1.wgsl?raw";
import rows4 from "../../shaders/attention/rows_4.wgsl?raw";
import totals from "../../shaders/attention/totals.wgsl?raw";
import weights from "../../shaders/attention/weights.wgsl?raw";
import place from "../../shaders/cache/place.wgsl?raw";
import { type Constants, defineKernel, type ParamValues, type PassShape } from "../gpu/kernel.ts";

/** How many queries a lane takes at once: the part that says so, and the number. */
export const attentionRows = {
  one: { part: rows1, rows: 1 },
  four: { part: rows4, rows: 4 },
} as const;

/** How many keys of a tile a lane takes: the part that says so, and the number. */
export const attentionKeys = {
  one: { part: keys1, keys: 1 },
  four: { part: keys4, keys: 4 },
} as const;

/** What queries attend by, whatever made them: `shaders/attention/attend.wgsl`. */
export const attendSources = [attend, weights, totals, place] as const;

/** Its params. */
export const attentionParams = {
  heads: "u32",
  kv_heads: "u32",
  key_quads: "u32",
  value_quads: "u32",
  key_head_quads: "u32",
  key_row_quads: "u32",
  value_head_quads: "u32",
  value_row_quads: "u32",
  value_shift: "u32",
  values_first: "u32",
  key_scales: "u32",
  value_scales: "u32",
  rows: "u32",
  window: "u32",
  span_keys: "u32",
  splits: "u32",
  tile_rows: "u32",
  has_sinks: "u32",
  scale: "f32",
  softcap: "f32",
} as const;

/**
 * Causal grouped-query attention over the KV cache, of the format whose part is linked, with so many queries at once as
 * the part of {@link attentionRows} says, whose number `tile_rows` is, and so many keys a lane as that of
 * {@link attentionKeys}.
 *
 * q [tokens, heads, 4 * key_quads] · sinks [heads] · out [tokens, heads, 4 * value_quads], or with `splits` the parts
 * that `attention_merge` adds up, f32 · cache: `src/ops/kv-layout.ts`. `value_quads` is at most `2 * LANES`,
 * `LANES * GROUPS` at most 128, `span_keys` a multiple of a tile: `LANES` times a lane's keys.
 */
export const attention = defineKernel({
  name: "attention",
  source: [source, ...attendSources].join("\n"),
  params: attentionParams,
  buffers: { q: "read", sinks: "read", out: "read_write" },
  weights: true,
  control: "read",
  constants: { LANES: 8, GROUPS: 1 },
  grid: ({ heads, kv_heads, tile_rows, splits }, { GROUPS }, tokens) => [
    kv_heads,
    Math.ceil((tokens * heads) / kv_heads / (tile_rows * GROUPS!)),
    Math.max(1, splits),
  ],
  work: attentionWork,
});

/** What attending reads, writes and computes. */
export function attentionWork(
  params: ParamValues<typeof attentionParams>,
  _constants: Constants,
  pass: PassShape,
) {
  const { heads, kv_heads, key_quads, value_quads, values_first, window, splits } = params;
  const { tokens, position } = pass;
  const rows = Math.min(position + tokens, window + tokens - 1);
  // Values that are a part of the keys are not read twice.
  const rowQuads = kv_heads * (key_quads + (values_first === 0 ? 0 : value_quads));
  const out = splits > 0 ? spansSeen(params, pass) * (value_quads + 1) : tokens * value_quads;
  return {
    words: 4 * heads * (tokens * key_quads + out),
    multiplyAdds: 4 * heads * keysSeen(params, pass) * (key_quads + value_quads),
    cached: 4 * rows * rowQuads,
  };
}

/** Keys that the queries of a pass see, all together. */
function keysSeen({ window }: { readonly window: number }, pass: PassShape): number {
  return sumOfTokens(pass, (end) => Math.min(end, window));
}

/** Spans of keys that the queries of a pass see, all together. */
export function spansSeen(
  { window, span_keys }: { readonly window: number; readonly span_keys: number },
  pass: PassShape,
): number {
  const spanOf = (key: number) => Math.floor(key / span_keys);
  return sumOfTokens(pass, (end) => spanOf(end - 1) - spanOf(Math.max(0, end - window)) + 1);
}

/** The sum over a pass's tokens, each given by where the keys that it sees end. */
function sumOfTokens({ tokens, position }: PassShape, of: (end: number) => number): number {
  let sum = 0;
  for (let token = 1; token <= tokens; token++) sum += of(position + token);
  return sum;
}
