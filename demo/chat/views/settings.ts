import type { Actions } from "../controller.ts";
import { byId, create } from "../dom.ts";
import {
  PACINGS,
  POLICIES,
  PREDICTORS,
  RUNTIMES,
  readSettings,
  type Settings,
} from "../settings.ts";
import type { AppState } from "../state.ts";
import type { Store } from "../store.ts";

type Field = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;

/** The form of the settings. Sampling counts from the next reply on, how experts are kept from the next load on. */
export function mountSettings(store: Store<AppState>, actions: Actions): void {
  const form = byId("form", "settings");
  const again = byId("button", "load-again");
  for (const [id, choices] of Object.entries({
    runtime: RUNTIMES,
    policy: POLICIES,
    predictor: PREDICTORS,
    pacing: PACINGS,
  })) {
    const options = Object.entries(choices).map(([value, text]) =>
      create("option", { value }, text),
    );
    byId("select", id).append(...options);
  }
  const fields = [...form.elements].filter(
    (field): field is Field =>
      field instanceof HTMLInputElement ||
      field instanceof HTMLTextAreaElement ||
      field instanceof HTMLSelectElement,
  );
  const show = () => {
    for (const field of fields) {
      const value = store.state.settings[field.name as keyof Settings];
      field.value = value === undefined ? "" : String(value);
    }
  };
  const read = () => {
    const texts = Object.fromEntries(fields.map((field) => [field.name, field.value]));
    store.update({ settings: readSettings(texts) });
  };

  show();
  form.addEventListener("input", read);
  form.addEventListener("change", () => {
    read();
    show();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  again.addEventListener("click", () => {
    const { choice } = store.state;
    if (choice) void actions.load(choice);
  });
  store.watch(
    (state) => state.model === undefined,
    (none) => {
      again.disabled = none;
    },
  );
}
