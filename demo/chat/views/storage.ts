import type { StoredModel } from "../../../src/index.ts";
import type { Actions } from "../controller.ts";
import { button, byId, create } from "../dom.ts";
import { formatBytes } from "../format.ts";
import {
  describeKept,
  describePersisted,
  describeQuota,
  type Kept,
  summariseKept,
  whyNotDelete,
} from "../kept.ts";
import type { AppState } from "../state.ts";
import type { Store } from "../store.ts";

/** While a model is fetched, what is kept changes all the time: it is listed once in so long. */
const LIST_DELAY_MS = 1000;

/** The models that are kept on this device, and what can be done with them. */
export function mountStorage(store: Store<AppState>, actions: Actions): void {
  const answer = byId("p", "kept-answer");
  const persist = byId("button", "persist");
  const persisted = byId("p", "persisted");

  persist.addEventListener("click", () => void actions.persist());
  mountList(store, actions);
  store.watch(
    (state) => state.kept,
    ({ report, answer: text }) => {
      byId("span", "kept-summary").textContent = summariseKept(report);
      byId("p", "quota").textContent = report ? describeQuota(report) : "";
      persist.hidden = report?.persisted ?? false;
      persisted.hidden = !persist.hidden;
      if (answer.textContent !== text) answer.textContent = text;
    },
  );
  persisted.textContent = describePersisted(true);
  followChanges(store, actions);
}

/** Lists anew when a load or a reply ends, when what is on disk changes, and when another tab may have changed it. */
function followChanges(store: Store<AppState>, actions: Actions): void {
  let waiting = false;
  const listSoon = () => {
    if (waiting) return;
    waiting = true;
    setTimeout(() => {
      waiting = false;
      void actions.listKept();
    }, LIST_DELAY_MS);
  };
  store.watch(({ phase, stats }) => `${phase} ${stats?.diskBytes}`, listSoon);
  document.addEventListener("visibilitychange", listSoon);
  byId("details", "storage-block").addEventListener("toggle", listSoon);
}

function mountList(store: Store<AppState>, actions: Actions): void {
  const list = byId("ul", "kept-list");
  const empty = byId("p", "kept-empty");
  let shown = "";
  store.watch(
    (state) => state.kept,
    (kept) => {
      const models = kept.report?.models ?? [];
      empty.hidden = kept.report === undefined || models.length > 0;
      const items = models.map((model, index) => itemOf(model, index, kept, actions));
      const next = items.map(({ outerHTML }) => outerHTML).join("");
      if (next === shown) return;
      shown = next;
      keepFocus(list, () => list.replaceChildren(...items));
    },
  );
}

/** Makes a list anew with the focus where it was, or on the button that took the other's place. */
function keepFocus(list: HTMLElement, render: () => void): void {
  const focused = document.activeElement;
  const key = focused instanceof HTMLElement && list.contains(focused) ? focused.dataset.key : "";
  render();
  if (!key) return;
  const model = key.slice(key.indexOf(" ") + 1);
  const buttons = [...list.querySelectorAll<HTMLButtonElement>("button:enabled")];
  const next = [key, `keep ${model}`, `delete ${model}`]
    .map((wanted) => buttons.find(({ dataset }) => dataset.key === wanted))
    .find((found) => found !== undefined);
  (next ?? byId("summary", "storage-summary")).focus();
}

function itemOf(model: StoredModel, index: number, kept: Kept, actions: Actions): HTMLElement {
  const reason = whyNotDelete(model);
  const reasonId = `kept-reason-${index}`;
  const act = (does: string, text: string, work: () => void) => {
    const element = button(text, "button", work);
    element.dataset.key = `${does} ${model.id}`;
    element.setAttribute("aria-label", `${text} ${model.name}`);
    return element;
  };
  const buttons = [];
  if (kept.asking === model.id) {
    const text = `Delete ${formatBytes(model.bytes)}`;
    buttons.push(
      act("confirm", text, () => void actions.deleteKept(model)),
      act("keep", "Keep", () => actions.askToDelete(undefined)),
    );
  } else {
    const checking = kept.busy === model.id;
    const remove = act("delete", "Delete", () => actions.askToDelete(model));
    remove.disabled = reason !== "";
    if (reason !== "") remove.setAttribute("aria-describedby", reasonId);
    buttons.push(
      act("verify", checking ? "Working" : "Verify", () => void actions.verifyKept(model)),
      remove,
    );
  }
  return create(
    "li",
    {},
    create("p", { class: "kept-name", title: model.url }, model.name),
    create("p", { class: "small" }, describeKept(model, Date.now())),
    create("div", { class: "kept-buttons" }, ...buttons),
    ...(reason === "" ? [] : [create("p", { class: "small", id: reasonId }, reason)]),
  );
}
