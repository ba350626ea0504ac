import { byId, create, definitionRows } from "../dom.ts";
import { listDetails, listNumbers, type NamedNumber } from "../numbers.ts";
import type { AppState } from "../state.ts";
import type { Store } from "../store.ts";

/** The figures of the last reply: the first ones at a glance, the others below each other when they are asked for. */
export function mountNumbers(store: Store<AppState>): void {
  const rowsOf = (numbers: readonly NamedNumber[]) =>
    definitionRows(numbers.map(({ label, value }) => [label, value]));
  const first = rowsOf(listNumbers(undefined));
  const groups = listDetails(undefined).map(({ title, rows }) => ({ title, rows: rowsOf(rows) }));
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
    (stats) => {
      const details = listDetails(stats).flatMap(({ rows }) => rows);
      [...listNumbers(stats), ...details].forEach(({ value }, index) => {
        const place = places[index]?.lastElementChild;
        if (place && place.textContent !== value) place.textContent = value;
      });
    },
  );
}
