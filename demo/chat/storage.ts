import { SluiceError, type StoredModel } from "../../src/index.ts";
import { describeStorageFailure, endsEngine } from "./failures.ts";
import { formatBytes } from "./format.ts";
import { describePersisted, describeVerified, type Kept } from "./kept.ts";
import type { Engine, EngineLink } from "./link.ts";
import type { AppState } from "./state.ts";
import type { Store } from "./store.ts";

/** What a person can do with the models that are kept on this device. */
export interface StorageActions {
  /** Lists them again. A list that cannot be made leaves the one before it. */
  listKept(): Promise<void>;
  verifyKept(model: StoredModel): Promise<void>;
  /** Asks whether to delete a model; undefined takes the question back. */
  askToDelete(model: StoredModel | undefined): void;
  deleteKept(model: StoredModel): Promise<void>;
  /** Asks the browser not to clear the storage by itself. */
  persist(): Promise<void>;
}

/** The {@link StorageActions} of a page. `fail` shows what ends the engine. */
export function createStorageActions(
  store: Store<AppState>,
  link: EngineLink,
  fail: (error: unknown) => void,
): StorageActions {
  let busy = false;
  const update = (change: Partial<Kept>) =>
    store.update({ kept: { ...store.state.kept, ...change } });

  async function listKept(): Promise<void> {
    try {
      const engine = await link.engine();
      update({ report: await engine.listStored() });
    } catch {
      // The engine is gone, or another tab deletes at this moment: the next list tells.
    }
  }

  /** Does something and tells what it came to, or why it failed; then lists anew. */
  async function act(
    what: string,
    model: StoredModel | undefined,
    work: (engine: Engine) => Promise<string>,
  ): Promise<void> {
    if (busy) return;
    busy = true;
    update({ busy: model?.id, asking: undefined, answer: "" });
    store.update({ failure: undefined });
    try {
      update({ answer: await work(await link.engine()) });
    } catch (error) {
      // Storage that fails is no reason to give up the model that is loaded.
      if (error instanceof SluiceError && endsEngine(error)) fail(error);
      else store.update({ failure: describeStorageFailure(what, error) });
    }
    busy = false;
    update({ busy: undefined });
    await listKept();
  }

  return {
    listKept,
    verifyKept: (model) =>
      act(`${model.name} could not be checked.`, model, async (engine) =>
        describeVerified(model.name, await engine.verifyStored(model.id)),
      ),
    askToDelete: (model) => update({ asking: model?.id, answer: "" }),
    deleteKept: (model) =>
      act(`${model.name} could not be deleted.`, model, async (engine) => {
        await engine.deleteStored(model.id);
        return `${model.name} is deleted: ${formatBytes(model.bytes)} are free again.`;
      }),
    persist: () =>
      act("The browser could not be asked.", undefined, async (engine) =>
        describePersisted(await engine.persistStorage()),
      ),
  };
}
