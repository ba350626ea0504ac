import type { ModelInfo } from "../../../src/index.ts";
import { bytesAt, leastPercent } from "../budget.ts";
import type { Actions } from "../controller.ts";
import { byId } from "../dom.ts";
import { formatBytes, formatCount, formatPercent } from "../format.ts";
import type { AppState } from "../state.ts";
import type { Store } from "../store.ts";

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
    slider.setAttribute("aria-valuetext", text);
    const low = Number(slider.min);
    const filled = low < 100 ? (100 * (percent - low)) / (100 - low) : 100;
    slider.style.setProperty("--filled", `${filled}%`);
  };

  store.watch(
    (state) => state.model,
    (model, state) => {
      info = model;
      const lowest = model ? leastPercent(model) : 1;
      slider.min = String(lowest);
      slider.disabled = lowest === 100;
      slider.value = String(state.share);
      least.textContent = model ? describeShare(model, lowest) : "";
      most.textContent = model ? describeShare(model, 100) : "";
      label();
    },
  );
  store.watch(
    (state) => state.share,
    (share) => {
      slider.value = String(share);
      label();
    },
  );
  store.watch(
    (state) => state.shareProblem,
    (text) => {
      problem.textContent = text;
    },
  );
  slider.addEventListener("input", label);
  slider.addEventListener("change", () => void actions.setShare(slider.valueAsNumber));
  mountHoldings(store);
}

function describeShare(info: ModelInfo, percent: number): string {
  return `${formatPercent(percent)}, ${formatBytes(bytesAt(info, percent))}`;
}

function mountHoldings(store: Store<AppState>): void {
  const bytes = byId("dd", "gpu-bytes");
  const resident = byId("dd", "resident");
  store.watch(
    (state) => state.stats,
    (stats) => {
      bytes.textContent = stats
        ? `${formatBytes(stats.gpuBytes)} of ${formatBytes(stats.gpuBudgetBytes)}`
        : "–";
      resident.textContent = stats
        ? `${formatCount(stats.residentExperts)} of ${formatCount(stats.totalExperts)}`
        : "–";
    },
  );
}
