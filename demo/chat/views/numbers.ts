import { byId, create, definitionRows } from "../dom.ts";
import { listDetails, listNumbers, type NamedNumber } from "../numbers.ts";
import type { AppState } from "../state.ts";
import type { Store } from "../store.ts";

/** The figures of the last reply: the first ones at a glance, the others below each other when they are asked for. */
export function mountNumbers(store: Store<AppState>): void {
  const rowsOf = (numbers: readonly NamedNumber[]) =>
    definitionRows(numbers.map(({ label, value }) => [label, value]));
  const { runtime } = store.state;
  const first = rowsOf(listNumbers(undefined, runtime));
  const groups = listDetails(undefined, runtime).map(({ title, rows }) => ({
    title,
    rows: rowsOf(rows),
  }));
  byId("dl", "numbers").append(...first);
  byId("div", "numbers-more").append(
    ...groups.flatMap(({ title, rows }) => [
      create("h3", { class: "group-title" }, title),
      create("dl", { class: "facts" }, ...rows),
    ]),
  );
  const places = [...first, ...groups.flatMap(({ rows }) => rows)];
  store.watch(
    (state) => state.stats,
    (stats, { runtime }) => {
      const details = listDetails(stats, runtime).flatMap(({ rows }) => rows);
      [...listNumbers(stats, runtime), ...details].forEach(({ label, value }, index) => {
        const place = places[index];
        show(place?.firstElementChild, label);
        show(place?.lastElementChild, value);
      });
    },
  );
}

function show(place: Element | null | undefined, text: string): void {
  if (place && place.textContent !== text) place.textContent = text;
}
