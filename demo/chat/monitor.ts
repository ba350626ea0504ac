import type { ExpertMap } from "../../src/index.ts";
import { reportFill } from "./budget.ts";
import { planFrame } from "./heat.ts";
import type { EngineLink } from "./link.ts";
import { addReport } from "./progress.ts";
import type { AppState } from "./state.ts";
import type { Store } from "./store.ts";

const INTERVAL_MS = 250;

/** Experts are taken as all there when nothing moved in so many looks: the source may be gone. */
const QUIET_LOOKS = 40;

/** Reads what the engine does into the state. */
export interface Monitor {
  /** Looks once, and goes on looking while experts move. A failure is left to the call that caused it. */
  look(): Promise<void>;
  /** Looks four times a second while there is a reply or experts move between tiers; then a last time. */
  follow(): void;
}

/** The {@link Monitor} of the engine behind `link`. */
export function createMonitor(store: Store<AppState>, link: EngineLink): Monitor {
  let previous: ExpertMap | undefined;
  let timer: ReturnType<typeof setInterval> | undefined;
  let reading = false;
  let held = "";
  let quietLooks = 0;

  async function read(before: ExpertMap | undefined): Promise<void> {
    const { model } = store.state;
    if (!model) {
      quietLooks = QUIET_LOOKS;
      return;
    }
    try {
      const engine = await link.engine();
      const [stats, map] = await Promise.all([engine.stats(), engine.expertMap()]);
      if (store.state.model !== model) return;
      store.update({ stats, frame: planFrame(map, before), runtime: stats.runtime.name });
      previous = map;
      const holds = [stats.residentExperts, stats.ramBytes, stats.diskBytes].join();
      quietLooks = holds === held ? quietLooks + 1 : 0;
      held = holds;
    } catch {
      previous = undefined;
      quietLooks = QUIET_LOOKS;
      store.update({ filling: false });
    }
  }

  /** Tells how far the filling is, and whether it goes on. */
  function followFill(): void {
    const { model, shares, stats } = store.state;
    if (!model || !stats) return;
    const { totalExperts } = stats;
    const fill = reportFill(model, shares.gpu, { resident: stats.residentExperts, totalExperts });
    const { loadedBytes, totalBytes } = fill;
    store.update({
      reports: addReport(store.state.reports, { phase: "experts", loadedBytes, totalBytes }),
      filling: fill.loaded < fill.total && quietLooks < QUIET_LOOKS,
    });
  }

  async function tick(): Promise<void> {
    if (reading) return;
    reading = true;
    // RAM and disk go on filling behind the model's back when the GPU is full.
    const busy = store.state.phase === "replying" || quietLooks < QUIET_LOOKS;
    if (!busy) {
      clearInterval(timer);
      timer = undefined;
    }
    await read(busy ? previous : undefined);
    if (store.state.filling) followFill();
    reading = false;
  }

  function follow(): void {
    quietLooks = 0;
    timer ??= setInterval(() => void tick(), INTERVAL_MS);
  }

  return {
    async look() {
      await read(undefined);
      followFill();
      follow();
    },
    follow,
  };
}
