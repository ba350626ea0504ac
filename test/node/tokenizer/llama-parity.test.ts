import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { getLlama, type Llama, LlamaLogLevel, type LlamaModel } from "node-llama-cpp";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { openGguf } from "../../../src/gguf/gguf.ts";
import { memorySource } from "../../../src/storage/memory-source.ts";
import {
  findPreTokenizer,
  type PreTokenizer,
  preTokenizers,
} from "../../../src/tokenizer/pre-tokenizers.ts";
import { createTokenizer, type TextTokenizer } from "../../../src/tokenizer/tokenizer.ts";
import { type GgufKeys, g, writeGguf } from "../../helpers/gguf-writer.ts";
import { bpeVocabulary, spmVocabulary } from "../../helpers/tiny-vocab.ts";

/** What tokenizers disagree on. */
const AWKWARD = [
  "",
  " ",
  "hello world",
  " Hello World!  ",
  "Hello,world;they'll I'D'VE it's we'RE 'tis",
  "123 1234 12345 1234567890 3.14159 ²³ ½ ٣٤٥ Ⅷ",
  "   three spaces\n\n\n  \t\ttabs \r\n\r\n end   ",
  "\n",
  "\n \n  \n",
  "a\u00a0b\u2003c\u3000d\u200be\ufefff\u0085g",
  "function add(a, b) {\n  return a + b; // sum\n}\n\tif (x == 0) { y += 1; }\n",
  "emoji 🙂 👩‍👩‍👧 🇯🇵 ❤️ 👍🏽 end",
  "combining e\u0301 n\u0303 a\u0308\u0304 क्षि ไทย",
  "日本語の文字 中文字符，标点。「引用」한국어 카타카나 カタカナ",
  "naïve café ÜBER über привет МИР Ελληνικά עברית العربية",
  "CamelCaseWords HTMLParser iPhoneOS aB Ab ABc abC McDonald",
  "$100 + 50% = <tag> `code` ~|^ a_b-c @user #tag https://x.org/a?b=c&d",
  "<think>so</think> and text",
  "<|im_start|>user\nhi<|im_end|>\n<|endoftext|>",
  "<s>[INST] hi [/INST]</s> <unk>",
  "half an emoji \ud83d and \udc00 more",
  "aaaaaaaaaaaaaaaaaaaaaaa   bbbb the the thethe",
  "'s 'S 't 'T 'll 'LL 'Ll ''s",
  "a/b//c\n/d",
  "… — ‘quotes’ “double” ！？：；",
];

/** Characters that the patterns tell apart, to be mixed at random. */
const PIECES = [
  ..."aZéЖ中のア한9٣²½ \t\n\r.,'!<>|_-/$+^`😀",
  "\u0301",
  "\u00a0",
  "\u3000",
  "\u200d",
  " the",
  "'ll",
  "  ",
  "\r\n",
  "2024",
  "<think>",
  "<|im_end|>",
];

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
  const { metadata } = await openGguf(memorySource(bytes));
  return { ours: createTokenizer(metadata), theirs };
}

/**
 * llama.cpp matches this rule against text in which it has replaced every space outside ASCII, and so
 * misses that its third pattern counts U+3000 as punctuation. The model's own tokenizer does not.
 */
const EXCEPTIONS: Readonly<Record<string, RegExp>> = { "bpe deepseek-llm": /\u3000/g };

function expectSameIds(ours: TextTokenizer, theirs: LlamaModel, text: string): void {
  for (const parseSpecial of [false, true]) {
    const got = ours.encode(text, { parseSpecial });
    const wanted = [...theirs.tokenize(text, parseSpecial)].map(Number);
    expect(got, JSON.stringify({ text, parseSpecial })).toEqual(wanted);
  }
}

describe.for([
  ...Object.keys(preTokenizers).map((pre) => ({
    name: `bpe ${pre}`,
    keys: bpeVocabulary({ pre, size: 400 }),
    runs: isAlias(pre) ? 0 : 80,
  })),
  { name: "sentencepiece", keys: spmVocabulary(), runs: 200 },
  {
    name: "sentencepiece without a space in front",
    keys: { ...spmVocabulary(), "tokenizer.ggml.add_space_prefix": g.bool(false) },
    runs: 100,
  },
])("$name", ({ name, keys, runs }) => {
  test("gives the ids of llama.cpp", async () => {
    const { ours, theirs } = await loadBoth(keys);
    onTestFinished(() => theirs.dispose());

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
