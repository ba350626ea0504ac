import { OnnxRuntime } from "../../../onnx/runtime.ts";
import { JobBoard } from "./board.ts";
import type { Mail, ParentPort, ToHelper } from "./messages.ts";
import { ExpertRunner } from "./runner.ts";

/**
 * Time that a helper waits for the next job in its place, holding its thread, before it waits for a message, which takes
 * longer to come: a layer and a token of a small model.
 */
const PATIENCE_MS = 30;

/** Makes this thread one that helps another to compute experts, until it is ended. */
export function helpWithExperts(parent: ParentPort): void {
  const helper = new Helper(parent);
  parent.listen((message) => helper.hear(message));
  parent.post({ kind: "here" });
}

interface Opened {
  readonly board: JobBoard;
  readonly runner: ExpertRunner;
  readonly helper: number;
}

class Helper {
  readonly #parent: ParentPort;
  #opened: Opened | undefined;
  /** Messages are acted on in order. */
  #acting: Promise<void> = Promise.resolve();
  /** Mail that was acted on. */
  #read = 0;
  #isWorking = false;
  #onRead: () => void = () => {};

  constructor(parent: ParentPort) {
    this.#parent = parent;
  }

  hear(message: ToHelper): void {
    this.#acting = this.#acting.then(() => this.#act(message)).catch((error) => this.#fail(error));
  }

  async #act(message: ToHelper): Promise<void> {
    if (message.kind === "open") {
      const { board, size, helper, folder } = message;
      const runner = new ExpertRunner(await OnnxRuntime.load({ folder }));
      this.#opened = { board: new JobBoard(board, size), runner, helper };
      this.#parent.post({ kind: "ready" });
    } else if (message.kind !== "wake") {
      await this.#take(message);
      this.#read++;
      this.#onRead();
    }
    if (!this.#isWorking) this.#work().catch((error) => this.#fail(error));
  }

  async #take(mail: Mail): Promise<void> {
    const { runner } = this.#opened!;
    if (mail.kind === "form") await runner.addForm(mail.number, mail.form);
    else if (mail.kind === "hold") runner.hold(mail.slot, new Uint8Array(mail.memory));
    else runner.drop(mail.slots);
  }

  /** Computes what there is to compute, until nothing has come for a while. */
  async #work(): Promise<void> {
    const { board, runner, helper } = this.#opened!;
    this.#isWorking = true;
    board.setAsleep(helper, false);
    for (;;) {
      await this.#readAll();
      const seen = board.signal;
      for (let item = board.take(); item; item = board.take()) {
        // What the item depends on may have been sent after the last look.
        await this.#readAll();
        await runner.compute(board, item);
        board.finished();
      }
      if (board.waitForSignal(seen, PATIENCE_MS)) continue;
      board.setAsleep(helper, true);
      if (board.signal === seen) break;
      board.setAsleep(helper, false);
    }
    this.#isWorking = false;
  }

  /** Lets messages in until all mail has been acted on. */
  async #readAll(): Promise<void> {
    const { board } = this.#opened!;
    while (this.#read < board.mail) {
      await new Promise<void>((resolve) => {
        this.#onRead = resolve;
      });
    }
  }

  #fail(error: unknown): void {
    this.#parent.post({ kind: "failed", reason: String(error) });
  }
}
