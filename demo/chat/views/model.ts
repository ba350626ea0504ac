import type { ModelInfo } from "../../../src/index.ts";
import type { Actions } from "../controller.ts";
import { byId, create, definitionRows } from "../dom.ts";
import { formatBytes, formatCount } from "../format.ts";
import { chooseFiles, chooseUrl, STOCK_MODELS } from "../models.ts";
import type { AppState } from "../state.ts";
import type { Store } from "../store.ts";

/** The model picker: the bundled model, an address, a file of this device. */
export function mountModel(store: Store<AppState>, actions: Actions): void {
  const name = byId("span", "model-name");
  const facts = byId("dl", "model-facts");
  const loadBundled = byId("button", "load-bundled");

  store.watch(
    (state) => state.model,
    (model, state) => {
      name.textContent = model ? model.name || (state.choice?.label ?? "") : "None yet";
      facts.hidden = model === undefined;
      facts.replaceChildren(...(model ? definitionRows(factsOf(model)) : []));
    },
  );
  store.watch(
    ({ bundled, choice, phase }) =>
      bundled !== undefined && (choice?.kind !== "bundled" || phase === "idle"),
    (offered) => {
      loadBundled.hidden = !offered;
    },
  );
  loadBundled.addEventListener("click", () => {
    const { bundled } = store.state;
    if (bundled) void actions.load(bundled);
  });
  mountUrlForm(actions);
  mountFileInput(actions);
}

function factsOf(model: ModelInfo): readonly (readonly [string, string])[] {
  return [
    ["Architecture", model.architecture],
    ["Layers", formatCount(model.layers)],
    ["Experts a layer", `${formatCount(model.experts)}, ${model.topK} used for each token`],
    ["Context", `${formatCount(model.contextTokens)} tokens`],
    ["File", formatBytes(model.bytes)],
  ];
}

function mountUrlForm(actions: Actions): void {
  const form = byId("form", "url-form");
  const input = byId("input", "model-url");
  const options = STOCK_MODELS.map(({ url, label }) =>
    create("option", { value: url, label }, label),
  );
  byId("datalist", "stock-models").append(...options);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void actions.load(chooseUrl(input.value));
  });
}

function mountFileInput(actions: Actions): void {
  const input = byId("input", "model-file");
  input.addEventListener("change", () => {
    const choice = chooseFiles(input.files ?? []);
    if (choice) void actions.load(choice);
    input.value = "";
  });
}

/** Lets files be dropped anywhere on the page. */
export function mountDrop(actions: Actions): void {
  const overlay = byId("div", "drop");
  const holdsFile = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;

  document.addEventListener("dragover", (event) => {
    if (!holdsFile(event)) return;
    event.preventDefault();
    overlay.hidden = false;
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) overlay.hidden = true;
  });
  document.addEventListener("drop", (event) => {
    overlay.hidden = true;
    if (!holdsFile(event)) return;
    event.preventDefault();
    const choice = chooseFiles(event.dataTransfer?.files ?? []);
    if (choice) void actions.load(choice);
  });
}
