import { describe, expect, test } from "vitest";
import {
  ask,
  extend,
  finish,
  readTurns,
  saveTurns,
  type Turn,
  toMessages,
  toText,
  withdraw,
} from "../../../demo/chat/turns.ts";

function talk(...pairs: readonly (readonly [string, string])[]): readonly Turn[] {
  return pairs.reduce<readonly Turn[]>(
    (turns, [question, reply]) => finish(extend(ask(turns, question), reply), "note"),
    [],
  );
}

describe("a conversation", () => {
  test("gives each turn an id of its own", () => {
    const turns = talk(["a", "b"], ["c", "d"]);

    expect(turns.map(({ id }) => id)).toEqual([0, 1, 2, 3]);
  });

  test("adds pieces to the reply that is being written", () => {
    const turns = extend(extend(ask([], "hi"), "one "), "two");

    expect(turns.at(-1)).toMatchObject({ role: "assistant", text: "one two", writing: true });
  });

  test("keeps what was written when the reply is finished", () => {
    expect(talk(["hi", "one"]).at(-1)).toMatchObject({ text: "one", writing: false, note: "note" });
  });

  test("takes back a question that got no reply", () => {
    const asked = finish(ask(talk(["a", "b"]), "again"), "");

    expect(withdraw(asked)).toEqual({ turns: talk(["a", "b"]), question: "again" });
  });

  test("takes nothing back once there is a reply", () => {
    const turns = talk(["a", "b"]);

    expect(withdraw(turns)).toEqual({ turns, question: "" });
    expect(withdraw([])).toEqual({ turns: [], question: "" });
  });
});

describe("what the engine is given", () => {
  test("is all that was said, without the reply to come", () => {
    expect(toMessages(ask(talk(["a", "b"]), "c"), " ")).toEqual([
      { role: "user", content: "a" },
      { role: "assistant", content: "b" },
      { role: "user", content: "c" },
    ]);
  });

  test("starts with the system prompt", () => {
    expect(toMessages(ask([], "a"), " Be brief. ")[0]).toEqual({
      role: "system",
      content: "Be brief.",
    });
  });

  test("is plain text for a model without a chat template", () => {
    expect(toText(ask(talk(["a", "b"]), "c"))).toBe("a\n\nb\n\nc");
  });
});

describe("a saved conversation", () => {
  test("comes back as it was", () => {
    const turns = talk(["a", "b"], ["c", "d"]);

    expect(readTurns(saveTurns(turns))).toEqual(turns);
  });

  test("leaves out a reply under way", () => {
    expect(readTurns(saveTurns(ask(talk(["a", "b"]), "c")))).toEqual(talk(["a", "b"]));
  });

  test.for([null, "", "{", "7", '[{"role":"system","text":"x","note":""}]', "[null]"])(
    "that reads %s is empty",
    (saved) => {
      expect(readTurns(saved)).toEqual([]);
    },
  );
});
