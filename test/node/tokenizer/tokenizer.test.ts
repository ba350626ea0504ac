import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { openGguf } from "../../../src/gguf/gguf.ts";
import type { Metadata } from "../../../src/gguf/metadata.ts";
import { memorySource } from "../../../src/storage/memory-source.ts";
import { findPreTokenizer } from "../../../src/tokenizer/pre-tokenizers.ts";
import { supportedTokenizers } from "../../../src/tokenizer/supported.ts";
import { TOKEN_TYPES } from "../../../src/tokenizer/token-types.ts";
import { createTokenizer, type TextTokenizer } from "../../../src/tokenizer/tokenizer.ts";
import { PIECES } from "../../helpers/awkward-text.ts";
import { type GgufKeys, g, writeGguf } from "../../helpers/gguf-writer.ts";
import { runs } from "../../helpers/random-cases.ts";
import {
  bpeVocabulary,
  pieceVocabulary,
  spmVocabulary,
  withTokens,
} from "../../helpers/tiny-vocab.ts";

async function load(keys: GgufKeys): Promise<TextTokenizer> {
  return createTokenizer(await metadataOf(keys));
}

async function metadataOf(keys: GgufKeys): Promise<Metadata> {
  return (await openGguf(memorySource(writeGguf({ metadata: keys })))).metadata;
}

/** The id that is spelled so; fails if it is more than one. */
function idOf(tokenizer: TextTokenizer, text: string): number {
  const [id, ...others] = tokenizer.encode(text, { parseSpecial: true });
  if (id === undefined || others.length > 0) throw new Error(`unreachable: ${text} is no token`);
  return id;
}

/** Any text, lone surrogates included. */
const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: "grapheme" }),
  fc.array(fc.nat(0xffff)).map((codes) => String.fromCharCode(...codes)),
  fc
    .array(fc.constantFrom("<", "|im_end|>", "<|im_end|>", "</s>", " ", "▁", "Ġ"))
    .map((a) => a.join("")),
);

const wellFormed = (text: string) => text.replace(/\p{Surrogate}/gu, "\uFFFD");

describe.for([
  { name: "bpe", keys: bpeVocabulary() },
  { name: "llama-bpe", keys: bpeVocabulary({ pre: "llama-bpe", size: 400 }) },
  { name: "gemma4", keys: pieceVocabulary("gemma4", "any", PIECES) },
  { name: "sentencepiece", keys: spmVocabulary() },
])("$name", ({ keys }) => {
  test("gives text back that it has taken apart", async () => {
    const tokenizer = await load(keys);

    fc.assert(
      fc.property(anyText, (text) => {
        // SentencePiece writes a space as ▁, and so cannot tell the two apart.
        const wanted = wellFormed(text).replaceAll("▁", " ");
        expect(tokenizer.decode(tokenizer.encode(text)).replaceAll("▁", " ")).toBe(wanted);
      }),
      { numRuns: runs(300) },
    );
  });

  test("names no control token in text, whatever it spells", async () => {
    const tokenizer = await load(keys);
    const control = new Set(tokenizer.endTokens);

    fc.assert(
      fc.property(anyText, (text) => {
        expect(tokenizer.encode(text).filter((id) => control.has(id))).toEqual([]);
      }),
      { numRuns: runs(300) },
    );
  });

  test("streams the same text, and never part of a character", async () => {
    const tokenizer = await load(keys);

    fc.assert(
      fc.property(anyText, (text) => {
        const stream = tokenizer.streamDecoder();
        const parts = tokenizer.encode(text).map((id) => stream.push(id));
        parts.push(stream.flush());
        const whole = parts.join("");
        // A stream goes on after other text, so it keeps the space that SentencePiece puts in front.
        const decoded = tokenizer.decode(tokenizer.encode(text));
        expect([decoded, ` ${decoded}`]).toContain(whole);
        if (!wellFormed(text).includes("\uFFFD")) expect(whole).not.toContain("\uFFFD");
        for (const part of parts) expect(part).not.toMatch(/\p{Surrogate}/u);
      }),
      { numRuns: runs(200) },
    );
  });

  test("puts the bos token in front when asked", async () => {
    const tokenizer = await load(keys);

    expect(tokenizer.encode("hi", { addBos: true })).toEqual([
      tokenizer.bos,
      ...tokenizer.encode("hi"),
    ]);
    expect(tokenizer.encode("", { addBos: true })).toEqual([tokenizer.bos]);
  });

  test("refuses an id that is none", async () => {
    const tokenizer = await load(keys);

    for (const id of [-1, tokenizer.vocab, 0.5, Number.NaN]) {
      expect(() => tokenizer.tokenText(id)).toThrow(/is no token/);
    }
  });
});

describe("special tokens", () => {
  test("are named by templates only, and left out of text", async () => {
    const tokenizer = await load(bpeVocabulary());
    const ids = tokenizer.encode("a<|im_end|>b", { parseSpecial: true });

    expect(ids).toHaveLength(3);
    expect(tokenizer.decode(ids)).toBe("ab");
    expect(tokenizer.decode(ids, { special: true })).toBe("a<|im_end|>b");
    expect(new TextDecoder().decode(tokenizer.tokenText(ids[1] ?? 0))).toBe("<|im_end|>");
    expect(tokenizer.encode("a<|im_end|>b").length).toBeGreaterThan(3);
  });

  test("that users may name are found and shown", async () => {
    const tokenizer = await load(bpeVocabulary());

    expect(tokenizer.encode("<think>")).toHaveLength(1);
    expect(tokenizer.decode(tokenizer.encode("<think>"))).toBe("<think>");
  });

  test("are not reached by a word that is spelled like one and taken whole", async () => {
    const keys = bpeVocabulary({ pre: "llama-bpe", size: 330 });
    const plain = await load(keys);
    const tokens = [...(await metadataOf(keys)).strings("tokenizer.ggml.tokens"), "stop"];
    const types = [
      ...(await metadataOf(keys)).numbers("tokenizer.ggml.token_type"),
      TOKEN_TYPES.control,
    ];
    const tokenizer = await load({
      ...keys,
      "tokenizer.ggml.tokens": g.strings(tokens),
      "tokenizer.ggml.token_type": g.i32s(types),
    });

    expect(tokenizer.encode("stop", { parseSpecial: true })).toEqual([330]);
    expect(tokenizer.encode("stop")).toEqual(plain.encode("stop"));
  });

  test("hidden by a stand-in stay text", async () => {
    const tokenizer = await load(bpeVocabulary());
    const literals = new Map([["\ue000", "<"]]);
    const ids = tokenizer.encode("<|im_end|>\ue000|im_end|>\ue000think>", {
      parseSpecial: true,
      literals,
    });

    expect(ids[0]).toBe(idOf(tokenizer, "<|im_end|>"));
    expect(ids.at(-1)).toBe(idOf(tokenizer, "<think>"));
    expect(ids.slice(1, -1)).toEqual(tokenizer.encode("<|im_end|>"));
  });

  test("that end a turn are known by id and by spelling", async () => {
    const tokenizer = await load(bpeVocabulary());
    const sentence = await load(spmVocabulary());

    expect(tokenizer.endTokens).toEqual(
      new Set([idOf(tokenizer, "<|im_end|>"), idOf(tokenizer, "<|endoftext|>")]),
    );
    expect(sentence.endTokens).toEqual(new Set([2]));
  });
});

describe("tokens that a file has wrong", () => {
  const { normal, userDefined, control } = TOKEN_TYPES;

  test("act by their spelling", async () => {
    const tokenizer = await load(
      withTokens(bpeVocabulary(), [
        ["<|eot_id|>", normal],
        ["<|fim_prefix|>", userDefined],
        ["<|file_sep|>", normal],
      ]),
    );

    for (const text of ["<|eot_id|>", "<|fim_prefix|>", "<|file_sep|>"]) {
      expect(tokenizer.decode([idOf(tokenizer, text)])).toBe("");
      expect(tokenizer.encode(text).length).toBeGreaterThan(1);
    }
    expect(tokenizer.endTokens).toContain(idOf(tokenizer, "<|eot_id|>"));
    expect(tokenizer.endTokens).toContain(idOf(tokenizer, "<|file_sep|>"));
    expect(tokenizer.endTokens).not.toContain(idOf(tokenizer, "<|fim_prefix|>"));
  });

  test("end no reply where they end a channel or are HTML", async () => {
    const harmony = await load(
      withTokens(bpeVocabulary(), [
        ["<|end|>", control],
        ["<|return|>", control],
        ["<|call|>", control],
      ]),
    );
    const gemma = await load(
      withTokens(bpeVocabulary(), [
        ["</s>", control],
        ["<|tool_response>", userDefined],
      ]),
    );

    expect(harmony.endTokens).not.toContain(idOf(harmony, "<|end|>"));
    expect(harmony.endTokens).toContain(idOf(harmony, "<|return|>"));
    expect(gemma.endTokens).toContain(idOf(gemma, "<|tool_response>"));
    expect(gemma.endTokens).not.toContain(gemma.vocab - 2);
    expect(gemma.decode([gemma.vocab - 2])).toBe("</s>");
  });

  test("swallow white space in files of Phi 3 only", async () => {
    const keys = withTokens(spmVocabulary(), [["<|user|>", control]]);
    const phi = await load({ ...keys, "general.name": g.string("Phi-3.5 MoE") });
    const other = await load({ ...keys, "general.name": g.string("Phi 4") });
    const special = { parseSpecial: true };

    expect(phi.encode("<|user|>\n a", special)).toEqual(phi.encode("<|user|>a", special));
    expect(other.encode("<|user|>\n a", special)).not.toEqual(phi.encode("<|user|>a", special));
    expect(phi.encode("<s>\n a", special)).toEqual(other.encode("<s>\n a", special));
  });
});

describe("the stream decoder", () => {
  test("keeps bytes back until they make a character", async () => {
    const tokenizer = await load(spmVocabulary());
    const ids = tokenizer.encode("🙂").slice(1);
    const stream = tokenizer.streamDecoder();

    expect(ids.map((id) => stream.push(id))).toEqual(["", "", "", "🙂"]);
    expect(stream.flush()).toBe("");
  });

  test("shows bytes that make no character", async () => {
    const tokenizer = await load(spmVocabulary());
    const stream = tokenizer.streamDecoder();

    expect(stream.push(3 + 0xf0)).toBe("");
    expect(stream.flush()).toBe("\uFFFD");
  });
});

describe("a file's own settings", () => {
  test("decide on the bos token", async () => {
    const keys = bpeVocabulary({ pre: "llama-bpe" });
    const { "tokenizer.ggml.add_bos_token": _, ...silent } = keys;

    expect((await load(keys)).addBos).toBe(false);
    expect((await load(silent)).addBos).toBe(true);
    expect((await load(spmVocabulary())).addBos).toBe(true);
    // Early files of Gemma 4 deny it.
    expect((await load(pieceVocabulary("gemma4", "any", PIECES))).addBos).toBe(true);
  });

  test.for([
    [
      "tokenizer.ggml.model",
      g.string("t5"),
      "unsupported-tokenizer",
      /kind "t5"; "gpt2", "llama", "gemma4" can be used/,
    ],
    ["tokenizer.ggml.model", g.string("__proto__"), "unsupported-tokenizer", /kind "__proto__"/],
    [
      "tokenizer.ggml.pre",
      g.string("whitespace"),
      "unsupported-tokenizer",
      /pre-tokenizer "whitespace"/,
    ],
    ["tokenizer.ggml.pre", g.string("toString"), "unsupported-tokenizer", /"toString"/],
    ["tokenizer.ggml.eos_token_id", g.u32(9999), "bad-file", /eos_token_id is 9999/],
    ["tokenizer.ggml.eot_token_id", g.u32(9999), "bad-file", /eot_token_id is 9999/],
    ["tokenizer.ggml.token_type", g.i32s([1]), "bad-file", /token_type has 1 entries/],
    ["tokenizer.ggml.tokens", g.u32(1), "bad-file", /tokens must be an array of strings/],
    ["tokenizer.ggml.merges", g.u32(1), "bad-file", /merges must be an array of strings/],
  ] as const)("are refused with their reason: %s %o", async ([key, value, code, message]) => {
    const metadata = await metadataOf({ ...bpeVocabulary(), [key]: value });

    expect(() => createTokenizer(metadata)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });

  test("may name tokens like properties of objects", async () => {
    const keys = bpeVocabulary();
    const tokens = [...(await metadataOf(keys)).strings("tokenizer.ggml.tokens")];
    tokens[300] = "__proto__";
    const tokenizer = await load({ ...keys, "tokenizer.ggml.tokens": g.strings(tokens) });

    expect(tokenizer.decode(tokenizer.encode("__proto__ constructor"))).toBe(
      "__proto__ constructor",
    );
  });
});

test("a vocabulary can have any size from the least", async () => {
  for (const size of [320, 321, 500, 2000]) {
    expect((await load(bpeVocabulary({ size }))).vocab).toBe(size);
  }
  expect((await load(spmVocabulary({ size: 700 }))).vocab).toBe(700);
});

test("what can be used is listed from the registries", () => {
  const { kinds, preTokenizers } = supportedTokenizers;

  expect(kinds.map(({ name }) => name)).toEqual(["gpt2", "llama", "gemma4"]);
  expect(preTokenizers).toContain("qwen2");
  for (const name of preTokenizers) expect(findPreTokenizer(name)).toBeDefined();
});
