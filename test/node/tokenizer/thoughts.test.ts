import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { openGguf } from "../../../src/gguf/gguf.ts";
import { memorySource } from "../../../src/storage/memory-source.ts";
import { chatText, renderChat } from "../../../src/tokenizer/chat-template.ts";
import { TOKEN_TYPES } from "../../../src/tokenizer/token-types.ts";
import { createTokenizer, type TextTokenizer } from "../../../src/tokenizer/tokenizer.ts";
import { type GgufKeys, g, writeGguf } from "../../helpers/gguf-writer.ts";
import { runs } from "../../helpers/random-cases.ts";
import { bpeVocabulary, withTokens } from "../../helpers/tiny-vocab.ts";

const { control, userDefined } = TOKEN_TYPES;

/** The tokens that frame replies of gpt-oss. */
const HARMONY = withTokens(bpeVocabulary(), [
  ["<|start|>", control],
  ["<|channel|>", control],
  ["<|message|>", control],
  ["<|constrain|>", control],
  ["<|end|>", control],
  ["<|call|>", control],
  ["<|return|>", control],
]);

/** Those of Gemma 4. */
const GEMMA = withTokens(bpeVocabulary(), [
  ["<|channel>", userDefined],
  ["<channel|>", userDefined],
  ["<turn|>", control],
]);

async function open(keys: GgufKeys) {
  return (await openGguf(memorySource(writeGguf({ metadata: keys })))).metadata;
}

/** What is shown of a reply that consists of the tokens which `text` spells. */
async function shown(keys: GgufKeys, text: string, special = false): Promise<string> {
  const tokenizer = createTokenizer(await open(keys));
  return tokenizer.decode(tokenizer.encode(text, { parseSpecial: true }), { special });
}

const thought = "<|channel|>analysis<|message|>They ask.<|end|>";
const final = "<|start|>assistant<|channel|>final<|message|>Hello!<|return|>";

describe("a reply in channels", () => {
  test.for([
    ["thoughts and an answer", thought + final, "<think>They ask.</think>Hello!"],
    ["an answer alone", "<|channel|>final<|message|>Hello!<|return|>", "Hello!"],
    ["two thoughts", thought + thought, "<think>They ask.</think><think>They ask.</think>"],
    ["thoughts cut short", "<|channel|>analysis<|message|>They", "<think>They"],
    [
      "thoughts that no token ends",
      `${thought.slice(0, -7)}${final}`,
      "<think>They ask.</think>Hello!",
    ],
    ["a header cut short", "<|channel|>analy", ""],
    [
      "words before a call",
      "<|channel|>commentary<|message|>I look.<|end|><|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>",
      "I look.{}",
    ],
    ["no channels", "Hello!", "Hello!"],
  ] as const)("of gpt-oss is shown with marked thoughts: %s", async ([, text, wanted]) => {
    expect(await shown(HARMONY, text)).toBe(wanted);
    expect(await shown(HARMONY, text, true)).toBe(text);
  });

  test.for([
    [
      "thoughts and an answer",
      "<|channel>thought\nHm.\n<channel|>Hello!<turn|>",
      "<think>Hm.\n</think>Hello!",
    ],
    ["no thoughts", "<|channel>thought\n<channel|>Hello!", "<think></think>Hello!"],
    ["another channel", "<|channel>other\nHm.<channel|>", "Hm."],
    ["several lines", "<|channel>thought\n\na\nb<channel|>", "<think>\na\nb</think>"],
  ] as const)("of Gemma 4 is shown with marked thoughts: %s", async ([, text, wanted]) => {
    expect(await shown(GEMMA, text)).toBe(wanted);
  });

  test("streams what it is decoded to", async () => {
    const tokenizer = createTokenizer(await open(HARMONY));
    const pieces = [
      "<|start|>",
      "<|channel|>",
      "<|message|>",
      "<|end|>",
      "analysis",
      "final",
      "🙂",
    ];

    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces)), (texts) => {
        const ids = tokenizer.encode(texts.join(""), { parseSpecial: true });
        const stream = tokenizer.streamDecoder();
        const parts = ids.map((id) => stream.push(id));
        const whole = parts.join("") + stream.flush();
        expect(whole).toBe(tokenizer.decode(ids));
        expect(whole).not.toMatch(/<\|/);
        expect(parts.filter((part) => /.<\/?think>|<\/?think>./.test(part))).toEqual([]);
      }),
      { numRuns: runs(200) },
    );
  });
});

test.for([
  ["<think>", "</think>"],
  ["[THINK]", "[/THINK]"],
  ["<|START_THINKING|>", "<|END_THINKING|>"],
])("thoughts between control tokens are shown as marked: %s", async ([begin, end]) => {
  const plain = bpeVocabulary();
  const keys: GgufKeys =
    begin === "<think>"
      ? { ...plain, "tokenizer.ggml.token_type": asControl(plain, ["<think>", "</think>"]) }
      : withTokens(plain, [
          [begin!, control],
          [end!, control],
        ]);

  expect(await shown(keys, `${begin}Hm.${end}Hello!`)).toBe("<think>Hm.</think>Hello!");
});

/** The types of a vocabulary with some tokens made control tokens. */
function asControl(keys: GgufKeys, texts: readonly string[]) {
  const tokens = keys["tokenizer.ggml.tokens"];
  const types = keys["tokenizer.ggml.token_type"];
  if (tokens?.type !== "strings" || types?.type !== "i32s") throw new Error("no vocabulary");
  return g.i32s(
    types.value.map((type, id) => (texts.includes(tokens.value[id]!) ? control : type)),
  );
}

describe("thoughts in the history of a conversation", () => {
  const template =
    "{% for m in messages %}<|start|>{{ m.role }}{% if m.thinking %}<|channel|>analysis<|message|>{{ m.thinking }}<|end|>{% endif %}" +
    "<|channel|>final<|message|>{{ m.content }}<|end|>{% endfor %}";

  async function rendered(keys: GgufKeys, content: string, role = "assistant"): Promise<string> {
    const metadata = await open({ ...keys, "tokenizer.chat_template": g.string(template) });
    return chatText(renderChat(metadata, [{ role, content }]));
  }

  test("go back into their channel", async () => {
    expect(await rendered(HARMONY, "<think>They ask.</think>Hello!")).toBe(
      "<|start|>assistant<|channel|>analysis<|message|>They ask.<|end|><|channel|>final<|message|>Hello!<|end|>",
    );
  });

  test("stay text where users wrote them, where they do not begin or have no end", async () => {
    const plain = (role: string, text: string) =>
      `<|start|>${role}<|channel|>final<|message|>${text}<|end|>`;
    for (const text of ["a<think>b</think>", "<think>b"]) {
      expect(await rendered(HARMONY, text)).toBe(plain("assistant", text));
    }
    const text = "<think>b</think>c";
    expect(await rendered(HARMONY, text, "user")).toBe(plain("user", text));
    expect(await rendered(bpeVocabulary(), text)).toBe(plain("assistant", text));
  });
});

test("text that users write names no frame of channels", async () => {
  const tokenizer: TextTokenizer = createTokenizer(await open(HARMONY));
  const frames = new Set(
    tokenizer.encode("<|start|><|channel|><|message|><|end|>", { parseSpecial: true }),
  );

  expect(frames.size).toBe(4);
  expect(tokenizer.encode(thought + final).filter((id) => frames.has(id))).toEqual([]);
});
