import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { getLlama, type Llama, LlamaLogLevel, type LlamaModel, type Token } from "node-llama-cpp";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { openGguf } from "../../../src/gguf/gguf.ts";
import { memorySource } from "../../../src/storage/memory-source.ts";
import {
  findPreTokenizer,
  type PreTokenizer,
  preTokenizers,
} from "../../../src/tokenizer/pre-tokenizers.ts";
import { TOKEN_TYPES } from "../../../src/tokenizer/token-types.ts";
import { createTokenizer, type TextTokenizer } from "../../../src/tokenizer/tokenizer.ts";
import { AWKWARD, PIECES } from "../../helpers/awkward-text.ts";
import { type GgufKeys, g, writeGguf } from "../../helpers/gguf-writer.ts";
import { runs } from "../../helpers/random-cases.ts";
import {
  bpeVocabulary,
  pairVocabulary,
  pieceVocabulary,
  spmVocabulary,
  withTokens,
} from "../../helpers/tiny-vocab.ts";

/** llama.cpp reads the header of a model of this shape, though no weights are there. */
const HOST: GgufKeys = {
  "general.architecture": g.string("llama"),
  "llama.context_length": g.u32(128),
  "llama.embedding_length": g.u32(32),
  "llama.block_count": g.u32(1),
  "llama.feed_forward_length": g.u32(32),
  "llama.attention.head_count": g.u32(1),
  "llama.attention.layer_norm_rms_epsilon": g.f32(1e-5),
};

let llama: Llama;
let folder: string;

beforeAll(async () => {
  llama = await getLlama({ gpu: false, build: "never", logLevel: LlamaLogLevel.disabled });
  folder = await mkdtemp(join(tmpdir(), "sluice-parity-"));
}, 60_000);

afterAll(async () => {
  await llama.dispose();
  await rm(folder, { recursive: true });
}, 60_000);

/** Aliases share a rule with another name: for them a few fixed texts are enough. */
function isAlias(pre: string): boolean {
  const rules: [string, PreTokenizer][] = Object.entries(preTokenizers);
  return rules.find(([, rule]) => rule === findPreTokenizer(pre))?.[0] !== pre;
}

/** The same vocabulary in both. */
async function loadBoth(keys: GgufKeys): Promise<{ ours: TextTokenizer; theirs: LlamaModel }> {
  const bytes = writeGguf({ metadata: { ...HOST, ...keys } });
  const path = join(folder, `${Math.random()}.gguf`);
  await writeFile(path, bytes);
  const theirs = await llama.loadModel({ modelPath: path, vocabOnly: true });
  onTestFinished(() => theirs.dispose());
  const { metadata } = await openGguf(memorySource(bytes));
  return { ours: createTokenizer(metadata), theirs };
}

/** Random texts of each rule. */
const RUNS = runs(60);

/** Where llama.cpp departs from the models' own tokenizers: characters to leave out of a comparison. */
const EXCEPTIONS: Readonly<Record<string, RegExp>> = {
  // These rules meet text in which every space outside ASCII is replaced, though their ranges hold some.
  "bpe deepseek-llm": /[\u1680\u2000-\u200a\u2028\u2029\u202f\u3000]/g,
  "bpe deepseek-coder": /[\u1680\u2000-\u200a\u2028\u2029\u202f\u3000]/g,
  // What is before a number stays with its first digits until a later pattern takes it.
  "bpe afmoe": /[\s\p{C}]+(?=\p{N})/gu,
  "bpe tiny_aya": /[\s\p{C}]+(?=\p{N})/gu,
};

function expectSameIds(ours: TextTokenizer, theirs: LlamaModel, text: string): void {
  for (const parseSpecial of [false, true]) {
    const got = ours.encode(text, { parseSpecial });
    const wanted = [...theirs.tokenize(text, parseSpecial)].map(Number);
    expect(got, JSON.stringify({ text, parseSpecial })).toEqual(wanted);
  }
}

function vocabularyOf(pre: string, rule: PreTokenizer): GgufKeys {
  if (rule.pieces) return pieceVocabulary("gpt2", pre, PIECES);
  return isAlias(pre) ? bpeVocabulary({ pre, size: 400 }) : pairVocabulary(pre, PIECES);
}

describe.for([
  ...Object.entries(preTokenizers).map(([pre, rule]) => ({
    name: `bpe ${pre}`,
    keys: vocabularyOf(pre, rule),
    runs: isAlias(pre) ? 0 : RUNS,
  })),
  { name: "gemma4", keys: pieceVocabulary("gemma4", "any", PIECES), runs: RUNS },
  { name: "sentencepiece", keys: spmVocabulary(), runs: runs(200) },
  {
    name: "sentencepiece without a space in front",
    keys: { ...spmVocabulary(), "tokenizer.ggml.add_space_prefix": g.bool(false) },
    runs: runs(100),
  },
  {
    name: "sentencepiece of Phi 3",
    keys: {
      ...withTokens(spmVocabulary(), [
        ["<|endoftext|>", TOKEN_TYPES.control],
        ["<|im_end|>", TOKEN_TYPES.control],
        ["<think>", TOKEN_TYPES.userDefined],
      ]),
      "general.name": g.string("Phi-3.5 MoE"),
    },
    runs: runs(100),
  },
])("$name", ({ name, keys, runs }) => {
  test("gives the ids of llama.cpp", async () => {
    const { ours, theirs } = await loadBoth(keys);

    const exception = EXCEPTIONS[name] ?? /$^/;
    const compare = (text: string) => expectSameIds(ours, theirs, text.replace(exception, ""));

    for (const text of AWKWARD) compare(text);
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...PIECES), { maxLength: 24 }), (pieces) => {
        compare(pieces.join(""));
      }),
      { numRuns: runs },
    );
  });
});

/** Texts that llama.cpp looks for; a file has at most one of each row that frames code to be filled in. */
const ENDS = [
  ...[
    "<|im_end|>x",
    "<|end_of_text|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
  ],
  ...[
    "<|calls|>",
    "<|flush|>",
    "<end_of_turn>",
    "<turn|>",
    "<|tool_response>",
    "<eos>",
    "[e~[",
    "</s>",
  ],
  ...[
    "<end_of_utterance>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<｜end▁of▁sentence｜>",
    "<|message|>",
  ],
];
const FILLS = [
  ["<|fim_prefix|>", "<PRE>", "<｜fim▁begin｜>"],
  ["<|fim_suffix|>", "<fim-suffix>", "<|suffix|>"],
  ["<|fim_middle|>", "▁<MID>", "<|code_middle|>"],
  ["<|fim_pad|>", "<PAD>", "[PAD]", "<fim_pad>"],
  ["<|fim_repo|>", "<|repo_name|>", "<REPO>", "<reponame>"],
  ["<|file_sep|>"],
];

describe("tokens that steer", () => {
  const found = fc.record({
    ends: fc.subarray(ENDS),
    fills: fc.tuple(...FILLS.map((texts) => fc.option(fc.constantFrom(...texts)))),
    types: fc.array(fc.constantFrom(...Object.values(TOKEN_TYPES).filter((type) => type < 5))),
    keys: fc.dictionary(
      fc.constantFrom(..."eot eom fim_pre fim_pad fim_rep fim_sep suffix".split(" ")),
      fc.nat(320),
    ),
  });

  test("end a reply and are hidden as in llama.cpp", async () => {
    await fc.assert(
      fc.asyncProperty(found, async ({ ends, fills, types, keys }) => {
        const texts = [...ends, ...fills.filter((text) => text !== null)];
        const added = texts.map((text, i) => [text, types[i % types.length] ?? TOKEN_TYPES.normal]);
        const { ours, theirs } = await loadBoth({
          ...withTokens(bpeVocabulary(), added as [string, number][]),
          ...Object.fromEntries(
            Object.entries(keys).map(([key, id]) => [
              `tokenizer.ggml.${key}_token_id`,
              g.u32(id % 320),
            ]),
          ),
        });

        for (let id = 300; id < ours.vocab; id += 1) {
          const text = new TextDecoder().decode(ours.tokenText(id));
          const isEnd = ours.endTokens.has(id);
          // llama.cpp shows the frames of channels, and leaves it to its callers to read them. That one of
          // them, <|end|>, ends no reply is hidden by the package, which adds its end of a turn.
          if (text === "<|message|>" || (text === "<|end|>" && !isEnd)) continue;
          expect(isEnd, text).toBe(theirs.isEogToken(id as Token));
          expect(ours.decode([id]) !== "", text).toBe(theirs.detokenize([id as Token]) !== "");
        }
      }),
      { numRuns: runs(40) },
    );
  });
});
