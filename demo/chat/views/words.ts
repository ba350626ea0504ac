import { byId } from "../dom.ts";
import type { AppState } from "../state.ts";
import type { Store } from "../store.ts";
import { describeRuntime, WORDS, type Words } from "../words.ts";

/** What computes and why, and the words of the page that depend on it: elements name theirs with `data-word`. */
export function mountWords(store: Store<AppState>): void {
  const note = byId("p", "runtime-note");
  const places = [...document.querySelectorAll<HTMLElement>("[data-word]")];
  store.watch(
    (state) => state.runtime,
    (runtime) => {
      for (const place of places) {
        place.textContent = WORDS[runtime][place.dataset.word as keyof Words];
      }
    },
  );
  store.watch(
    ({ stats }) => describeRuntime(stats),
    (text) => {
      note.textContent = text;
    },
  );
}
