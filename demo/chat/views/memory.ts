import type { ModelInfo } from "../../../src/index.ts";
import { bytesAt, describeUse, leastPercent } from "../budget.ts";
import type { Actions } from "../controller.ts";
import { byId } from "../dom.ts";
import { formatBytes, formatCount, formatPercent } from "../format.ts";
import type { AppState } from "../state.ts";
import type { Store } from "../store.ts";
import { showSlider } from "./slider.ts";

/** The memory slider and what the engine holds on the GPU. */
export function mountMemory(store: Store<AppState>, actions: Actions): void {
  const slider = byId("input", "share");
  const value = byId("output", "share-value");
  const least = byId("span", "share-min");
  const most = byId("span", "share-max");
  const problem = byId("p", "share-problem");
  let info: ModelInfo | undefined;

  /** Labels the slider with where it stands, which while it is dragged is not yet the state. */
  const label = () => {
    const percent = slider.valueAsNumber;
    const text = info ? describeShare(info, percent) : formatPercent(percent);
    value.textContent = text;
    showSlider(slider, text);
  };

  store.watch(
    (state) => state.model,
    (model, state) => {
      info = model;
      const lowest = model ? leastPercent(model) : 1;
      slider.min = String(lowest);
      slider.disabled = lowest === 100;
      slider.value = String(state.shares.gpu);
      least.textContent = model ? describeShare(model, lowest) : "";
      most.textContent = model ? describeShare(model, 100) : "";
      label();
    },
  );
  store.watch(
    (state) => state.shares.gpu,
    (share) => {
      slider.value = String(share);
      label();
    },
  );
  store.watch(
    (state) => state.budgetProblem,
    (text) => {
      problem.textContent = text;
    },
  );
  slider.addEventListener("input", label);
  slider.addEventListener("change", () => void actions.setShare("gpu", slider.valueAsNumber));
  mountHoldings(store);
}

function describeShare(info: ModelInfo, percent: number): string {
  return `${formatPercent(percent)}, ${formatBytes(bytesAt(info, percent))}`;
}

function mountHoldings(store: Store<AppState>): void {
  const places = {
    gpu: byId("dd", "gpu-bytes"),
    ram: byId("dd", "ram-bytes"),
    disk: byId("dd", "disk-bytes"),
    resident: byId("dd", "resident"),
  };
  store.watch(
    (state) => state.stats,
    (stats) => {
      const texts = stats && {
        gpu: describeUse(stats.gpuBytes, stats.gpuBudgetBytes),
        ram: describeUse(stats.ramBytes, stats.ramBudgetBytes),
        disk: describeUse(stats.diskBytes, stats.diskBudgetBytes),
        resident: `${formatCount(stats.residentExperts)} of ${formatCount(stats.totalExperts)}`,
      };
      for (const [name, place] of Object.entries(places)) {
        place.textContent = texts?.[name as keyof typeof places] ?? "–";
      }
    },
  );
}
