import type { ChatMessage } from "../../src/index.ts";

/** One bubble of the conversation. */
export interface Turn {
  readonly id: number;
  readonly role: "user" | "assistant";
  readonly text: string;
  /** The reply is still being written. */
  readonly writing: boolean;
  /** What stands below a finished reply: its length, its speed, why it ended. */
  readonly note: string;
}

/** The conversation with a new question and the empty reply that will be written. */
export function ask(turns: readonly Turn[], text: string): readonly Turn[] {
  const id = (turns.at(-1)?.id ?? -1) + 1;
  return [
    ...turns,
    { id, role: "user", text, writing: false, note: "" },
    { id: id + 1, role: "assistant", text: "", writing: true, note: "" },
  ];
}

/** The conversation with `text` added to the reply that is being written. */
export function extend(turns: readonly Turn[], text: string): readonly Turn[] {
  return changeLast(turns, (turn) => ({ ...turn, text: turn.text + text }));
}

/** The conversation with its last reply finished. */
export function finish(turns: readonly Turn[], note: string): readonly Turn[] {
  return changeLast(turns, (turn) => ({ ...turn, writing: false, note }));
}

/** Takes back a question whose reply stayed empty, so that it can be asked again. */
export function withdraw(turns: readonly Turn[]): {
  readonly turns: readonly Turn[];
  readonly question: string;
} {
  const question = turns.at(-2);
  const reply = turns.at(-1);
  if (question?.role !== "user" || reply?.role !== "assistant" || reply.text !== "") {
    return { turns, question: "" };
  }
  return { turns: turns.slice(0, -2), question: question.text };
}

/** What the engine is given: the system prompt, then all that was said, without the reply to come. */
export function toMessages(turns: readonly Turn[], systemPrompt: string): readonly ChatMessage[] {
  const said = turns
    .filter((turn) => turn.role === "user" || turn.text !== "")
    .map(({ role, text }): ChatMessage => ({ role, content: text }));
  const system = systemPrompt.trim();
  return system === "" ? said : [{ role: "system", content: system }, ...said];
}

/** What a model without a chat template continues: the texts, one below the other. */
export function toText(turns: readonly Turn[]): string {
  return turns
    .map((turn) => turn.text)
    .filter((text) => text !== "")
    .join("\n\n");
}

/** The conversation that {@link saveTurns} wrote, or an empty one when that cannot be read. */
export function readTurns(saved: string | null): readonly Turn[] {
  if (saved === null) return [];
  try {
    const values: unknown = JSON.parse(saved);
    if (!Array.isArray(values)) return [];
    return values.filter(isTurn).map((turn, id) => ({ ...turn, id, writing: false }));
  } catch {
    return [];
  }
}

/** A text from which {@link readTurns} makes the same conversation. Replies under way are left out. */
export function saveTurns(turns: readonly Turn[]): string {
  return JSON.stringify(turns.at(-1)?.writing ? turns.slice(0, -2) : turns);
}

function changeLast(turns: readonly Turn[], change: (turn: Turn) => Turn): readonly Turn[] {
  const last = turns.at(-1);
  return last === undefined ? turns : [...turns.slice(0, -1), change(last)];
}

function isTurn(value: unknown): value is Turn {
  if (typeof value !== "object" || value === null) return false;
  const { role, text, note } = value as Record<string, unknown>;
  return (
    (role === "user" || role === "assistant") &&
    typeof text === "string" &&
    typeof note === "string"
  );
}
