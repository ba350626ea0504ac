import type { ExpertMap } from "../../src/index.ts";
import { planFrame } from "./heat.ts";
import type { EngineLink } from "./link.ts";
import type { AppState } from "./state.ts";
import type { Store } from "./store.ts";

const INTERVAL_MS = 250;

/** Reads what the engine does into the state: once on request, four times a second while it replies. */
export interface Monitor {
  /** Reads statistics and the expert map once, for a map at rest. A failure is left to the call that caused it. */
  look(): Promise<void>;
  /** Reads them again and again until the function that it returns is called. */
  watch(): () => void;
}

/** The {@link Monitor} of the engine behind `link`. */
export function createMonitor(store: Store<AppState>, link: EngineLink): Monitor {
  let previous: ExpertMap | undefined;
  let watching = 0;

  async function read(before: ExpertMap | undefined): Promise<void> {
    const ticket = watching;
    try {
      const engine = await link.engine();
      const [stats, map] = await Promise.all([engine.stats(), engine.expertMap()]);
      if (ticket !== watching) return;
      store.update({ stats, frame: planFrame(map, before) });
      previous = map;
    } catch {
      previous = undefined;
    }
  }

  return {
    look: () => read(undefined),
    watch() {
      let reading = false;
      const timer = setInterval(async () => {
        if (reading) return;
        reading = true;
        await read(previous);
        reading = false;
      }, INTERVAL_MS);
      return () => {
        clearInterval(timer);
        watching++;
      };
    },
  };
}
