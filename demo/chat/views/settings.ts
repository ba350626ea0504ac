import { byId } from "../dom.ts";
import { DEFAULT_SETTINGS, readSettings } from "../settings.ts";
import type { AppState } from "../state.ts";
import type { Store } from "../store.ts";

/** The form of the sampling settings. What is typed counts from the next reply on. */
export function mountSettings(store: Store<AppState>): void {
  const form = byId("form", "settings");
  const fields = [...form.elements].filter(
    (field): field is HTMLInputElement | HTMLTextAreaElement =>
      field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement,
  );
  const show = () => {
    for (const field of fields) {
      const value = store.state.settings[field.name as keyof typeof DEFAULT_SETTINGS];
      field.value = value === undefined ? "" : String(value);
    }
  };
  const read = () => {
    const texts = Object.fromEntries(fields.map((field) => [field.name, field.value]));
    store.update({ settings: readSettings(texts) });
  };

  store.update({ settings: DEFAULT_SETTINGS });
  show();
  form.addEventListener("input", read);
  form.addEventListener("change", () => {
    read();
    show();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
}
