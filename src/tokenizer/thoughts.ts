import type { Vocabulary } from "./vocabulary.ts";

const OPEN = "<think>";
const CLOSE = "</think>";

/** Tokens that mark thoughts by themselves, many of them control tokens, with what is shown for them. */
const RENAMED: Readonly<Record<string, string>> = {
  "<think>": OPEN,
  "</think>": CLOSE,
  "[THINK]": OPEN,
  "[/THINK]": CLOSE,
  "<|START_THINKING|>": OPEN,
  "<|END_THINKING|>": CLOSE,
};

/** A reply in channels, each with a header that names it. */
interface ChannelForm {
  /** Tokens at which a header begins. */
  readonly headers: readonly string[];
  /** The token or the line break after which a channel's text follows. */
  readonly body: string;
  /** The token that ends a channel. */
  readonly end: string;
  /** Whether a header names the channel of thoughts. */
  readonly thoughts: RegExp;
}

const CHANNEL_FORMS: readonly ChannelForm[] = [
  // The harmony format of gpt-oss: <|channel|>analysis<|message|>…<|end|><|start|>assistant<|channel|>final<|message|>…
  {
    headers: ["<|start|>", "<|channel|>"],
    body: "<|message|>",
    end: "<|end|>",
    thoughts: /^analysis/,
  },
  // Gemma 4: <|channel>thought\n…<channel|>…
  { headers: ["<|channel>"], body: "\n", end: "<channel|>", thoughts: /^thought/ },
];

/** How the tokens of a vocabulary mark thoughts. */
export interface ThoughtMarks {
  readonly form: ChannelForm | undefined;
  /** By token: what it marks in the channels of {@link form}. */
  readonly marks: ReadonlyMap<number, "header" | "body" | "end">;
  /** By token: what is shown in its place. */
  readonly renamed: ReadonlyMap<number, string>;
}

export function findThoughtMarks({ tokens }: Vocabulary): ThoughtMarks {
  const ids = new Map(tokens.map((text, id) => [text, id]));
  const renamed = new Map<number, string>();
  for (const [text, shown] of Object.entries(RENAMED)) {
    const id = ids.get(text);
    if (id !== undefined) renamed.set(id, shown);
  }
  const form = CHANNEL_FORMS.find(({ headers, end }) => [...headers, end].every((t) => ids.has(t)));
  const marks = new Map<number, "header" | "body" | "end">();
  const mark = (text: string, what: "header" | "body" | "end") => {
    const id = ids.get(text);
    if (id !== undefined) marks.set(id, what);
  };
  if (form !== undefined) {
    for (const text of form.headers) mark(text, "header");
    if (form.body !== "\n") mark(form.body, "body");
    mark(form.end, "end");
  }
  return { form, marks, renamed };
}

/**
 * Writes thoughts as `<think>…</think>` whatever tokens the model marks them by, and leaves the headers
 * of channels out, so that who shows a reply needs to know one form only.
 */
export interface ThoughtWriter {
  /** @param text what `id` has completed, empty for control tokens; returns what to show */
  push(id: number, text: string): string;
}

export function createThoughtWriter({ form, marks, renamed }: ThoughtMarks): ThoughtWriter {
  let header: string | undefined;
  let thinking = false;

  function begin(name: string): string {
    header = undefined;
    if (!form?.thoughts.test(name)) return end();
    thinking = true;
    return OPEN;
  }

  function end(): string {
    if (!thinking) return "";
    thinking = false;
    return CLOSE;
  }

  return {
    push(id, text) {
      switch (marks.get(id)) {
        case "header":
          header = "";
          return end();
        case "body":
          return begin(header ?? "");
        case "end":
          header = undefined;
          return end();
      }
      if (header === undefined) return renamed.get(id) ?? text;
      header += text;
      const [name = "", ...rest] = form?.body === "\n" ? header.split("\n") : [];
      return rest.length === 0 ? "" : begin(name) + rest.join("\n");
    },
  };
}

/** Thoughts at the beginning of a text, as {@link ThoughtWriter} writes them, and what follows. */
export function splitThoughts(text: string): { thoughts?: string; rest: string } {
  const end = text.indexOf(CLOSE);
  if (!text.startsWith(OPEN) || end < 0) return { rest: text };
  return { thoughts: text.slice(OPEN.length, end), rest: text.slice(end + CLOSE.length) };
}
