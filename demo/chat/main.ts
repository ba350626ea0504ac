import { DEFAULT_SHARES } from "./budget.ts";
import { createActions } from "./controller.ts";
import { byId } from "./dom.ts";
import { NOTHING_KEPT } from "./kept.ts";
import { EngineLink } from "./link.ts";
import { chooseBundled } from "./models.ts";
import { DEFAULT_SETTINGS, readRuntime, withRuntime } from "./settings.ts";
import type { AppState } from "./state.ts";
import { createStore } from "./store.ts";
import { readTurns, saveTurns } from "./turns.ts";
import { mountComposer } from "./views/composer.ts";
import { mountLoading } from "./views/loading.ts";
import { mountLowerTiers } from "./views/lower-tiers.ts";
import { mountMap } from "./views/map.ts";
import { mountMemory } from "./views/memory.ts";
import { mountDrop, mountModel } from "./views/model.ts";
import { mountNumbers } from "./views/numbers.ts";
import { mountPanel } from "./views/panel.ts";
import { mountSettings } from "./views/settings.ts";
import { mountAlert, mountOffline, mountStatus } from "./views/status.ts";
import { mountStorage } from "./views/storage.ts";
import { mountTurns } from "./views/turns.ts";
import { mountWords } from "./views/words.ts";
import { expectRuntime } from "./words.ts";

const TURNS_KEY = "sluice.turns";

const bundled = chooseBundled(
  import.meta.glob<string>("../models/*.gguf", { query: "?url", import: "default", eager: true }),
);

const wanted = readRuntime(location.href);
const store = createStore<AppState>({
  phase: "idle",
  bundled,
  choice: undefined,
  model: undefined,
  reports: [],
  filling: false,
  failure: undefined,
  turns: readTurns(sessionStorage.getItem(TURNS_KEY)),
  shares: DEFAULT_SHARES,
  budgetProblem: "",
  settings: { ...DEFAULT_SETTINGS, runtime: wanted },
  runtime: expectRuntime(wanted, navigator.gpu !== undefined),
  stats: undefined,
  frame: undefined,
  kept: NOTHING_KEPT,
});
const actions = createActions(store, new EngineLink());
const live = byId("p", "live");
const say = (text: string) => {
  live.textContent = text;
};

mountStatus(store, actions);
mountAlert(store, actions);
mountOffline();
mountTurns(store, say);
mountComposer(store, actions);
mountLoading(store, actions);
mountModel(store, actions);
mountDrop(actions);
mountMemory(store, actions);
mountLowerTiers(store, actions);
mountMap(store);
mountNumbers(store);
mountStorage(store, actions);
mountSettings(store, actions);
mountPanel(store);
mountWords(store);
document.documentElement.dataset.started = "true";

// What a screen reader is told: that a model is ready, and a reply once it is whole.
let before = store.state.phase;
store.watch(
  (state) => state.phase,
  (phase, { turns, choice }) => {
    if (phase === "ready" && before === "loading") say(`${choice?.label} is ready.`);
    const reply = turns.at(-1)?.text ?? "";
    if (before === "replying" && reply !== "") say(`Reply: ${reply}`);
    before = phase;
  },
);
// A reload of the page keeps the conversation; another tab has its own.
store.watch(
  (state) => (state.phase === "replying" ? undefined : state.turns),
  (turns) => {
    if (turns) sessionStorage.setItem(TURNS_KEY, saveTurns(turns));
  },
);
// So does a reload with what computes.
store.watch(
  (state) => state.settings.runtime,
  (runtime) => history.replaceState(null, "", withRuntime(location.href, runtime)),
);

if (bundled) void actions.load(bundled);
else {
  byId("p", "welcome-text").textContent =
    "No model comes with this copy of the page. Choose one under Model: by its address, or a file of this device.";
}
