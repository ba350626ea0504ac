import type { ModelInfo } from "../../src/index.ts";
import { type Shares, type Tier, toBudgets, toLoadOptions } from "./budget.ts";
import { describeFailure, describeRefusal, endsEngine, isAbort, type Remedy } from "./failures.ts";
import { createJobs } from "./jobs.ts";
import type { EngineLink } from "./link.ts";
import type { ModelChoice } from "./models.ts";
import { createMonitor } from "./monitor.ts";
import { describeReply } from "./numbers.ts";
import { addReport } from "./progress.ts";
import { toEngineOptions, toGenerateOptions } from "./settings.ts";
import type { AppState } from "./state.ts";
import { createStorageActions, type StorageActions } from "./storage.ts";
import type { Store } from "./store.ts";
import { ask, extend, finish, toMessages, toText, withdraw } from "./turns.ts";

/** All that a person can make the page do. Failures end up in the state, never in a rejected promise. */
export interface Actions extends StorageActions {
  /** Loads a model in place of the one that is loaded; ends a load or a reply that is under way. */
  load(choice: ModelChoice): Promise<void>;
  /** Asks; answers with the question when it could not be answered at all, so that it can be asked again. */
  send(text: string): Promise<string>;
  /** Ends the load or the reply that is under way. What a reply has so far stays. */
  stop(): void;
  newChat(): Promise<void>;
  /** Changes the share of the experts that a tier may hold, now or with the next load. */
  setShare(tier: Tier, percent: number): Promise<void>;
  remedy(remedy: Remedy): Promise<void>;
  dismissFailure(): void;
}

/** How a reply ended. One that is not complete and has no text is as if it had not been asked for. */
interface Ending {
  readonly complete: boolean;
  readonly note: string;
  readonly error: unknown;
}

/** The {@link Actions} of a page whose state is `store` and whose engine is behind `link`. */
export function createActions(store: Store<AppState>, link: EngineLink): Actions {
  const jobs = createJobs();
  let asked: ModelChoice | undefined;
  let loaded: { readonly choice: ModelChoice; readonly model: ModelInfo } | undefined;
  const monitor = createMonitor(store, link);

  function restart(): void {
    link.restart();
    loaded = undefined;
  }

  /** Shows a failure. One that ends the engine leaves the page without a model. */
  function fail(error: unknown): void {
    const { model, phase } = store.state;
    const failure = describeFailure(error);
    const still = phase === "ready" && model && asked?.source !== store.state.choice?.source;
    const advice = still ? `${model.name} is still loaded. ${failure.advice}` : failure.advice;
    store.update({ failure: { ...failure, advice } });
    if (!endsEngine(error)) return;
    restart();
    store.update({ phase: "idle", model: undefined, filling: false });
    store.update({ stats: undefined, frame: undefined });
  }

  function load(choice: ModelChoice): Promise<void> {
    asked = choice;
    return jobs.run(async ({ signal, current }) => {
      store.update({ phase: "loading", choice, model: undefined, reports: [], failure: undefined });
      store.update({ stats: undefined, frame: undefined, filling: false, budgetProblem: "" });
      try {
        const engine = await link.engine();
        const { shares, settings } = store.state;
        const model = await engine.load(choice.source, {
          ...toLoadOptions(shares),
          ...toEngineOptions(settings),
          signal,
          onProgress: (report) => {
            if (current()) store.update({ reports: addReport(store.state.reports, report) });
          },
        });
        loaded = { choice, model };
        if (!current()) return;
        store.update({ model });
        if (store.state.shares === shares) await monitor.look();
        else await changeBudgets(store.state.shares, shares);
        if (store.state.phase === "loading") store.update({ phase: "ready" });
      } catch (error) {
        if (!current()) return;
        store.update({ phase: "idle" });
        if (!endsEngine(error)) await goBack();
        if (!isAbort(error)) fail(error);
      }
    });
  }

  /** After a load that came to nothing: to the model before it, which the engine keeps until a file proves good. */
  async function goBack(): Promise<void> {
    const { shares } = store.state;
    try {
      const engine = await link.engine();
      await engine.stats();
    } catch {
      loaded = undefined;
    }
    if (!loaded) return;
    store.update(loaded);
    await changeBudgets(shares, shares);
    store.update({ phase: "ready" });
  }

  async function send(text: string): Promise<string> {
    const { phase, model } = store.state;
    if (phase !== "ready" || !model || text.trim() === "") return text;
    let unanswered = "";
    await jobs.run(async ({ signal, current }) => {
      store.update({ phase: "replying", turns: ask(store.state.turns, text), failure: undefined });
      monitor.follow();
      const ending = await reply(signal);
      const turns = finish(store.state.turns, ending.note);
      const kept = ending.complete ? { turns, question: "" } : withdraw(turns);
      unanswered = kept.question;
      store.update({ turns: kept.turns });
      if (!current()) return;
      store.update({ phase: "ready" });
      if (ending.error !== undefined) fail(ending.error);
    });
    return unanswered;
  }

  /** Streams a reply into the last turn; answers with how it ended and what to write below it. */
  async function reply(signal: AbortSignal): Promise<Ending> {
    const { turns, settings, model } = store.state;
    const prompt = model?.hasChatTemplate
      ? { messages: toMessages(turns, settings.systemPrompt) }
      : { text: toText(turns) };
    try {
      const engine = await link.engine();
      const stream = engine.generate(prompt, { ...toGenerateOptions(settings), signal });
      for await (const chunk of stream) {
        if (chunk.text !== "") store.update({ turns: extend(store.state.turns, chunk.text) });
      }
      const { stats, finishReason } = await stream.result;
      const note = describeReply(stats, finishReason);
      return { complete: finishReason !== "aborted", note, error: undefined };
    } catch (error) {
      return { complete: false, note: "cut off by a failure", error };
    }
  }

  async function newChat(): Promise<void> {
    if (store.state.phase === "replying") {
      await jobs.run(async () => store.update({ phase: "ready" }));
    }
    store.update({ turns: [], failure: undefined });
  }

  async function setShare(tier: Tier, percent: number): Promise<void> {
    const before = store.state.shares;
    store.update({ shares: { ...before, [tier]: percent }, budgetProblem: "" });
    if (store.state.model) await changeBudgets({ [tier]: percent }, before);
  }

  /** Tells the engine; a share that it refuses goes back to what it was, unless it was changed again since. */
  async function changeBudgets(changes: Partial<Shares>, before: Shares): Promise<void> {
    try {
      const engine = await link.engine();
      await engine.setBudget(toBudgets(changes));
    } catch (error) {
      if (endsEngine(error)) return fail(error);
      const { shares } = store.state;
      const refused = (Object.keys(changes) as Tier[]).filter(
        (tier) => shares[tier] === changes[tier],
      );
      const back = Object.fromEntries(refused.map((tier) => [tier, before[tier]]));
      store.update({ shares: { ...shares, ...back }, budgetProblem: describeRefusal(error) });
    }
    await monitor.look();
  }

  async function remedy(name: Remedy): Promise<void> {
    const { choice, bundled } = store.state;
    if (name === "new-chat") return newChat();
    if (name === "restart" || name === "reload") restart();
    const again = name === "load-again" ? asked : choice;
    const model = name === "load-bundled" ? bundled : (again ?? bundled);
    if (model) await load(model);
  }

  return {
    ...createStorageActions(store, link, fail),
    load,
    send,
    stop: jobs.stop,
    newChat,
    setShare,
    remedy,
    dismissFailure: () => store.update({ failure: undefined }),
  };
}
