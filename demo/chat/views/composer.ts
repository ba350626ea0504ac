import type { Actions } from "../controller.ts";
import { button, byId, create } from "../dom.ts";
import { BUNDLED_PROMPTS, GENERAL_PROMPTS } from "../models.ts";
import { describeContext } from "../numbers.ts";
import type { AppState } from "../state.ts";
import type { Store } from "../store.ts";

/** The message box, its button (which sends or stops) and the suggested prompts. */
export function mountComposer(store: Store<AppState>, actions: Actions): void {
  const form = byId("form", "composer");
  const prompt = byId("textarea", "prompt");
  const send = byId("button", "send");

  const grow = () => {
    prompt.style.height = "auto";
    prompt.style.height = `${prompt.scrollHeight}px`;
  };
  const showButton = () => {
    const { phase } = store.state;
    const replying = phase === "replying";
    send.textContent = replying ? "Stop" : "Send";
    send.classList.toggle("stop", replying);
    send.disabled = !replying && (phase !== "ready" || prompt.value.trim() === "");
  };
  const setPrompt = (text: string) => {
    prompt.value = text;
    grow();
    showButton();
  };
  const submit = async (text: string) => {
    if (store.state.phase !== "ready" || text.trim() === "") return;
    setPrompt("");
    const unanswered = await actions.send(text.trim());
    if (unanswered !== "" && prompt.value === "") setPrompt(unanswered);
  };

  prompt.addEventListener("input", () => {
    grow();
    showButton();
  });
  prompt.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    void submit(prompt.value);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (store.state.phase === "replying") actions.stop();
    else void submit(prompt.value);
    prompt.focus();
  });
  store.watch((state) => state.phase, showButton);
  mountSuggestions(store, (text) => {
    if (store.state.phase === "ready") void submit(text);
    else setPrompt(text);
    prompt.focus();
  });
  mountContextUse(store);
}

function mountSuggestions(store: Store<AppState>, use: (text: string) => void): void {
  const list = byId("ul", "suggestions");
  const welcome = byId("div", "welcome");
  store.watch(
    (state) =>
      state.choice && state.choice.kind !== "bundled" ? GENERAL_PROMPTS : BUNDLED_PROMPTS,
    (prompts) => {
      const items = prompts.map((text) =>
        create(
          "li",
          {},
          button(text, "button suggestion", () => use(text)),
        ),
      );
      list.replaceChildren(...items);
    },
  );
  store.watch(
    (state) => state.turns.length > 0,
    (started) => {
      welcome.hidden = started;
    },
  );
}

function mountContextUse(store: Store<AppState>): void {
  const place = byId("span", "context-use");
  store.watch(
    ({ stats, model, turns }) =>
      model && turns.length > 0
        ? describeContext(stats?.contextUsed ?? 0, model.contextTokens)
        : "",
    (text) => {
      place.textContent = text;
    },
  );
}
