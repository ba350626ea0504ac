import { connect } from "../../src/index.ts";

/** The engine as the page has it. */
export type Engine = Awaited<ReturnType<typeof connect>>;

/** Owns the worker and the connection to the engine in it; makes both when first asked, and anew after `restart`. */
export class EngineLink {
  #worker: Worker | undefined;
  #engine: Promise<Engine> | undefined;

  /** The engine. Throws "worker-died" when the worker's script cannot run; the next call tries again. */
  engine(): Promise<Engine> {
    if (this.#engine) return this.#engine;
    this.#worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
    const engine = connect(this.#worker);
    this.#engine = engine;
    engine.catch(() => {
      if (this.#engine === engine) this.restart();
    });
    return engine;
  }

  /** Ends the worker, whatever it is doing. The next call of `engine` starts another. */
  restart(): void {
    const engine = this.#engine;
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#engine = undefined;
    // Calls that wait for the old worker end instead of waiting for ever.
    engine?.then((old) => old.terminate()).catch(() => {});
  }
}
