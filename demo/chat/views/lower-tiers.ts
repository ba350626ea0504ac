import { describeLower, type LowerTier } from "../budget.ts";
import type { Actions } from "../controller.ts";
import { byId } from "../dom.ts";
import { formatPercent } from "../format.ts";
import type { AppState } from "../state.ts";
import type { Store } from "../store.ts";
import { showSlider } from "./slider.ts";

/** The budgets of RAM and disk. */
export function mountLowerTiers(store: Store<AppState>, actions: Actions): void {
  for (const tier of ["ram", "disk"] as const) mountTier(tier, store, actions);
}

function mountTier(tier: LowerTier, store: Store<AppState>, actions: Actions): void {
  const slider = byId("input", `${tier}-share`);
  const value = byId("output", `${tier}-value`);
  const reason = byId("p", `${tier}-reason`);

  const label = (text: string) => {
    value.textContent = text;
    showSlider(slider, text);
  };
  const show = () => {
    const { shares, model, stats, choice } = store.state;
    const lower = describeLower(tier, { shares, model, stats, kind: choice?.kind });
    slider.disabled = lower.reason !== "";
    reason.textContent = lower.reason;
    // Figures that come in while the slider is dragged must not pull it back.
    if (slider.matches(":active")) return;
    slider.value = String(lower.percent);
    label(lower.text);
  };

  store.watch(({ stats }) => stats, show);
  store.watch(({ shares }) => shares, show);
  slider.addEventListener("input", () => label(formatPercent(slider.valueAsNumber)));
  slider.addEventListener("change", () => void actions.setShare(tier, slider.valueAsNumber));
  slider.addEventListener("blur", show);
}
