import { byId } from "../dom.ts";
import type { AppState } from "../state.ts";
import type { Store } from "../store.ts";

/** On a narrow screen the panel takes the place of the conversation; a button of the header changes them over. */
export function mountPanel(store: Store<AppState>): void {
  const toggle = byId("button", "panel-toggle");
  const show = (open: boolean) => {
    document.body.classList.toggle("panel-open", open);
    toggle.setAttribute("aria-expanded", String(open));
  };
  toggle.addEventListener("click", () => show(toggle.getAttribute("aria-expanded") !== "true"));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || toggle.getAttribute("aria-expanded") !== "true") return;
    show(false);
    toggle.focus();
  });
  // A model that was just chosen loads in the conversation's column, where its progress is shown.
  store.watch(
    (state) => state.phase,
    (phase) => {
      if (phase === "loading") show(false);
    },
  );
}
