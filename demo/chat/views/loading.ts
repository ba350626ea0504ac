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

  const cancel = byId("button", "cancel-load");
  store.watch(titleOf, (text) => {
    card.hidden = text === "";
    if (text !== "") title.textContent = text;
    cancel.hidden = store.state.phase !== "loading";
  });
  store.watch(
    (state) => state.reports,
    (reports: LoadReports) => {
      const fraction = stepFraction(reports);
      if (fraction === undefined) bar.removeAttribute("value");
      else bar.value = fraction;
      steps.replaceChildren(...listSteps(reports).map(stepItem));
    },
  );
  cancel.addEventListener("click", () => {
    actions.stop();
    byId("textarea", "prompt").focus();
  });
}

/** What the card is about; empty when there is nothing to show. */
function titleOf({ phase, choice, model, filling }: AppState): string {
  if (phase === "loading") return `Loading ${choice?.label ?? "the model"}`;
  return filling && model ? `${model.name} can write; experts are still arriving` : "";
}

function stepItem(step: LoadStep): HTMLLIElement {
  const item = create("li", { class: step.state }, create("span", {}, step.label));
  if (step.state === "running") item.setAttribute("aria-current", "step");
  if (step.bytes !== "") item.append(" ", create("span", { class: "bytes" }, step.bytes));
  return item;
}
