import { byId, definitionRows } from "../dom.ts";
import { listNumbers } from "../numbers.ts";
import type { AppState } from "../state.ts";
import type { Store } from "../store.ts";

/** The figures of the last reply. */
export function mountNumbers(store: Store<AppState>): void {
  const list = byId("dl", "numbers");
  const rows = definitionRows(listNumbers(undefined).map(({ label, value }) => [label, value]));
  list.append(...rows);
  store.watch(
    (state) => state.stats,
    (stats) => {
      listNumbers(stats).forEach(({ value }, index) => {
        const place = rows[index]?.lastElementChild;
        if (place && place.textContent !== value) place.textContent = value;
      });
    },
  );
}
