import type { Actions } from "../controller.ts";
import { button, byId, create } from "../dom.ts";
import type { Failure, Remedy } from "../failures.ts";
import { type AppState, describeStatus } from "../state.ts";
import type { Store } from "../store.ts";

const REMEDY_LABELS: Readonly<Record<Remedy, string>> = {
  "load-again": "Try again",
  "load-bundled": "Load the bundled model",
  "new-chat": "New chat",
  reload: "Reload the model",
  restart: "Restart the engine",
};

/** The header: what runs where, and a new chat. */
export function mountStatus(store: Store<AppState>, actions: Actions): void {
  const pill = byId("p", "status");
  const text = byId("span", "status-text");
  const newChat = byId("button", "new-chat");

  store.watch(
    (state) => state,
    (state) => {
      const status = describeStatus(state);
      pill.dataset.tone = status.tone;
      if (text.textContent !== status.text) {
        text.textContent = status.text;
        pill.title = status.text;
      }
    },
  );
  store.watch(
    (state) => state.turns.length === 0,
    (empty) => {
      newChat.disabled = empty;
    },
  );
  newChat.addEventListener("click", () => {
    void actions.newChat();
    byId("textarea", "prompt").focus();
  });
}

/** The alert region: what went wrong, what to do, and buttons that do it. */
export function mountAlert(store: Store<AppState>, actions: Actions): void {
  const region = byId("div", "alert");
  store.watch(
    (state) => state.failure,
    (failure, state) => {
      region.replaceChildren(...(failure ? [alertOf(failure, state, actions)] : []));
    },
  );
}

/** A sentence while the device is offline: a reply may then wait for an expert that is kept nowhere here. */
export function mountOffline(): void {
  const place = byId("p", "offline");
  const show = () => {
    place.textContent = navigator.onLine
      ? ""
      : "This device is offline. What is kept here works; anything else waits for the connection.";
  };
  window.addEventListener("online", show);
  window.addEventListener("offline", show);
  show();
}

function alertOf(failure: Failure, state: AppState, actions: Actions): HTMLElement {
  const remedies = failure.remedies
    .filter((remedy) => remedy !== "load-bundled" || canLoadBundled(state))
    .map((remedy) => button(REMEDY_LABELS[remedy], "button", () => void actions.remedy(remedy)));
  return create(
    "div",
    { class: "failure" },
    create(
      "div",
      { class: "failure-text" },
      create("p", { class: "failure-title" }, failure.title),
      create("p", {}, failure.advice),
      create("p", { class: "failure-detail" }, failure.detail),
    ),
    create(
      "div",
      { class: "failure-buttons" },
      ...remedies,
      button("Dismiss", "button quiet", actions.dismissFailure),
    ),
  );
}

function canLoadBundled(state: AppState): boolean {
  return state.bundled !== undefined && state.choice?.kind !== "bundled";
}
