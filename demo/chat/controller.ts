import { describeFailure, endsEngine, isAbort, type Remedy } from "./failures.ts";
import type { EngineLink } from "./link.ts";
import type { ModelChoice } from "./models.ts";
import { createMonitor } from "./monitor.ts";
import { describeReply } from "./numbers.ts";
import { addReport } from "./progress.ts";
import { toGenerateOptions } from "./settings.ts";
import type { AppState } from "./state.ts";
import type { Store } from "./store.ts";
import { ask, extend, finish, toMessages, toText, withdraw } from "./turns.ts";

/** All that a person can make the page do. Failures end up in the state, never in a rejected promise. */
export interface Actions {
  /** Loads a model in place of the one that is loaded; ends a load or a reply that is under way. */
  load(choice: ModelChoice): Promise<void>;
  /** Asks; answers with the question when it could not be answered at all, so that it can be asked again. */
  send(text: string): Promise<string>;
  /** Ends the load or the reply that is under way. What a reply has so far stays. */
  stop(): void;
  newChat(): Promise<void>;
  /** Changes the share of the experts on the GPU, now or with the next load. */
  setShare(percent: number): Promise<void>;
  remedy(remedy: Remedy): Promise<void>;
  dismissFailure(): void;
}

/** A load or a reply. One runs at a time. */
interface Job {
  readonly abort: AbortController;
  done: Promise<void>;
}

/** How a reply ended. One that is not complete and has no text is as if it had not been asked for. */
interface Ending {
  readonly complete: boolean;
  readonly note: string;
  readonly error: unknown;
}

/** The {@link Actions} of a page whose state is `store` and whose engine is behind `link`. */
export function createActions(store: Store<AppState>, link: EngineLink): Actions {
  let job: Job | undefined;
  const monitor = createMonitor(store, link);

  /** Runs `work` once whatever ran before has ended. Of several that wait, only the last one runs. */
  async function run(work: (signal: AbortSignal, current: () => boolean) => Promise<void>) {
    const previous = job;
    const next: Job = { abort: new AbortController(), done: Promise.resolve() };
    job = next;
    const current = () => job === next;
    previous?.abort.abort();
    next.done = (async () => {
      await previous?.done;
      if (current()) await work(next.abort.signal, current);
      if (current()) job = undefined;
    })();
    await next.done;
  }

  /** Shows a failure. One that ends the engine leaves the page without a model. */
  function fail(error: unknown): void {
    store.update({ failure: describeFailure(error) });
    if (!endsEngine(error)) return;
    link.restart();
    store.update({ phase: "idle", model: undefined, filling: false });
    store.update({ stats: undefined, frame: undefined });
  }

  function load(choice: ModelChoice): Promise<void> {
    return run(async (signal, current) => {
      store.update({ phase: "loading", choice, model: undefined, reports: [], failure: undefined });
      store.update({ stats: undefined, frame: undefined, filling: false, shareProblem: "" });
      try {
        const engine = await link.engine();
        const { share } = store.state;
        const model = await engine.load(choice.source, {
          ...(share < 100 && { gpuBudget: `${share}%` }),
          signal,
          onProgress: (report) => {
            if (current()) store.update({ reports: addReport(store.state.reports, report) });
          },
        });
        if (!current()) return;
        store.update({ model });
        await monitor.look();
        store.update({ phase: "ready" });
      } catch (error) {
        if (!current()) return;
        store.update({ phase: "idle" });
        if (!isAbort(error)) fail(error);
      }
    });
  }

  async function send(text: string): Promise<string> {
    const { phase, model } = store.state;
    if (phase !== "ready" || !model || text.trim() === "") return text;
    let unanswered = "";
    await run(async (signal, current) => {
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
    if (store.state.phase === "replying") await run(async () => store.update({ phase: "ready" }));
    store.update({ turns: [], failure: undefined });
  }

  async function setShare(percent: number): Promise<void> {
    const before = store.state.share;
    store.update({ share: percent, shareProblem: "" });
    if (!store.state.model) return;
    try {
      const engine = await link.engine();
      await engine.setBudget({ gpu: `${percent}%` });
    } catch (error) {
      if (endsEngine(error)) return fail(error);
      if (store.state.share === percent) {
        store.update({ share: before, shareProblem: describeFailure(error).detail });
      }
    }
    await monitor.look();
  }

  async function remedy(name: Remedy): Promise<void> {
    const { choice, bundled } = store.state;
    if (name === "new-chat") return newChat();
    if (name === "restart" || name === "reload") link.restart();
    const model = name === "load-bundled" ? bundled : (choice ?? bundled);
    if (model) await load(model);
  }

  return {
    load,
    send,
    stop: () => job?.abort.abort(),
    newChat,
    setShare,
    remedy,
    dismissFailure: () => store.update({ failure: undefined }),
  };
}
