import type { Actions } from "../controller.ts";
import { byId, create } from "../dom.ts";
import { type LoadReports, type LoadStep, listSteps, stepFraction } from "../progress.ts";
import type { AppState } from "../state.ts";
import type { Store } from "../store.ts";

/** The card that shows how far a load is, above the message box. */
export function mountLoading(store: Store<AppState>, actions: Actions): void {
  const card = byId("section", "loading");
  const title = byId("h2", "loading-title");
  const bar = byId("progress", "loading-bar");
  const steps = byId("ol", "loading-steps");

  store.watch(
    (state) => (state.phase === "loading" ? state.choice : undefined),
    (choice) => {
      card.hidden = choice === undefined;
      if (choice) title.textContent = `Loading ${choice.label}`;
    },
  );
  store.watch(
    (state) => state.reports,
    (reports: LoadReports) => {
      const fraction = stepFraction(reports);
      if (fraction === undefined) bar.removeAttribute("value");
      else bar.value = fraction;
      steps.replaceChildren(...listSteps(reports).map(stepItem));
    },
  );
  byId("button", "cancel-load").addEventListener("click", () => {
    actions.stop();
    byId("textarea", "prompt").focus();
  });
}

function stepItem(step: LoadStep): HTMLLIElement {
  const item = create("li", { class: step.state }, create("span", {}, step.label));
  if (step.state === "running") item.setAttribute("aria-current", "step");
  if (step.bytes !== "") item.append(" ", create("span", { class: "bytes" }, step.bytes));
  return item;
}
