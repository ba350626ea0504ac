import source from "../../shaders/embedding/embed.wgsl?raw";
import { defineKernel } from "../gpu/kernel.ts";

/**
 * The rows of the token ids of the pass, times `scale`: those of them that are among rows `first_row` to `first_row + rows` of the table.
 *
 * weights [rows, hidden] in any format · y [tokens, hidden] f32. `hidden` is a multiple of 8.
 */
export const embed = defineKernel({
  name: "embed",
  source,
  params: { hidden: "u32", vocab: "u32", first_row: "u32", rows: "u32", scale: "f32" },
  buffers: { y: "read_write" },
  weights: true,
  control: "read",
  constants: { LANES: 64 },
  grid: ({ hidden }, { LANES = 64 }, tokens) => [Math.ceil(hidden / 8 / LANES), tokens, 1],
  work: ({ hidden, vocab, rows }, _constants, { tokens }) => {
    // Of a table that is cut by rows, a part has its share of the tokens.
    const numbers = (tokens * hidden * rows) / vocab;
    return { words: numbers, multiplyAdds: numbers, weights: { load_weights: numbers } };
  },
});
