import type { ExpertMap } from "../../src/index.ts";
import { reportFill } from "./budget.ts";
import { planFrame } from "./heat.ts";
import type { EngineLink } from "./link.ts";
import { addReport } from "./progress.ts";
import type { AppState } from "./state.ts";
import type { Store } from "./store.ts";

const INTERVAL_MS = 250;

/** The filling is taken as over when nothing more arrived in so many looks: the source may be gone. */
const QUIET_LOOKS = 40;

/** Reads what the engine does into the state. */
export interface Monitor {
  /** Looks once, and goes on looking if experts are still to come. A failure is left to the call that caused it. */
  look(): Promise<void>;
  /** Looks four times a second while there is a reply or experts are still to come; then a last time. */
  follow(): void;
}

/** The {@link Monitor} of the engine behind `link`. */
export function createMonitor(store: Store<AppState>, link: EngineLink): Monitor {
  let previous: ExpertMap | undefined;
  let timer: ReturnType<typeof setInterval> | undefined;
  let reading = false;
  let resident = 0;
  let quietLooks = 0;

  async function read(before: ExpertMap | undefined): Promise<void> {
    const { model } = store.state;
    try {
      const engine = await link.engine();
      const [stats, map] = await Promise.all([engine.stats(), engine.expertMap()]);
      if (store.state.model !== model) return;
      store.update({ stats, frame: planFrame(map, before) });
      previous = map;
      quietLooks = stats.residentExperts === resident ? quietLooks + 1 : 0;
      resident = stats.residentExperts;
    } catch {
      previous = undefined;
      store.update({ filling: false });
    }
  }

  /** Tells how far the filling is, and whether it goes on. */
  function followFill(): void {
    const { model, share, stats } = store.state;
    if (!model || !stats) return;
    const { totalExperts } = stats;
    const fill = reportFill(model, share, { resident: stats.residentExperts, totalExperts });
    const { loadedBytes, totalBytes } = fill;
    store.update({
      reports: addReport(store.state.reports, { phase: "experts", loadedBytes, totalBytes }),
      filling: fill.loaded < fill.total && quietLooks < QUIET_LOOKS,
    });
  }

  async function tick(): Promise<void> {
    if (reading) return;
    reading = true;
    const { phase, filling } = store.state;
    const busy = phase === "replying" || filling;
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
      quietLooks = 0;
      await read(undefined);
      followFill();
      if (store.state.filling) follow();
    },
    follow,
  };
}
