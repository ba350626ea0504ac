import type { BoardSize, JobBoard } from "./board.ts";
import type { FromHelper, Mail, ThreadPort } from "./messages.ts";

/** How long a thread may take until it listens, and until it can compute: it loads code for both. */
const START_MS = 15_000;

/** A thread that was started to help. */
class HelperThread {
  readonly port: ThreadPort;
  /** Its place on the board. */
  readonly place: number;
  failure: string | undefined;
  readonly #heard = new Set<FromHelper["kind"]>();
  #onChange: () => void = () => {};

  constructor(port: ThreadPort, place: number) {
    this.port = port;
    this.place = place;
    const fail = (reason: string) => {
      this.failure = reason;
      this.#onChange();
    };
    port.listen((message) => {
      if (message.kind === "failed") return fail(message.reason);
      this.#heard.add(message.kind);
      this.#onChange();
    }, fail);
  }

  /** Whether it says this in time, and does not fail. */
  async says(kind: FromHelper["kind"]): Promise<boolean> {
    const timer = setTimeout(() => {
      this.failure ??= "it did not start in time";
      this.#onChange();
    }, START_MS);
    while (!this.#heard.has(kind) && this.failure === undefined) {
      await new Promise<void>((resolve) => {
        this.#onChange = resolve;
      });
    }
    clearTimeout(timer);
    return this.failure === undefined;
  }
}

/** Threads that have been started, and listen. */
export type StartedThreads = readonly HelperThread[];

/** Starts threads; those that listen in time. */
export async function startThreads(
  count: number,
  start: () => ThreadPort,
): Promise<StartedThreads> {
  const started: HelperThread[] = [];
  for (let index = 0; index < count; index++) {
    try {
      started.push(new HelperThread(start(), index));
    } catch {
      // Where one cannot be started, so cannot the next.
      break;
    }
  }
  return those(started, (thread) => thread.says("here"));
}

/** The threads that help to compute experts. Owned by who has made it, which calls `close`. */
export class Helpers {
  readonly #threads: StartedThreads;
  readonly #board: JobBoard;

  private constructor(threads: StartedThreads, board: JobBoard) {
    this.#threads = threads;
    this.#board = board;
  }

  /** Gives threads a board for as many of them, and makes them load what computes. */
  static async open(
    threads: StartedThreads,
    board: {
      readonly jobs: JobBoard;
      readonly memory: SharedArrayBuffer;
      readonly size: BoardSize;
    },
    folder: string | undefined,
  ): Promise<Helpers> {
    const { jobs, memory, size } = board;
    for (const { port, place } of threads) {
      port.post({ kind: "open", board: memory, size, helper: place, folder });
    }
    return new Helpers(await those(threads, (thread) => thread.says("ready")), jobs);
  }

  get count(): number {
    return this.#threads.length;
  }

  /** Why one of them can no longer compute. */
  get failure(): string | undefined {
    return this.#threads.find(({ failure }) => failure !== undefined)?.failure;
  }

  /** Sends all of them what jobs from now on depend on. */
  send(mail: Mail): void {
    this.#board.addMail();
    for (const { port } of this.#threads) port.post(mail);
  }

  /** Tells those that have fallen asleep that there is something to do. */
  wake(): void {
    for (const { port, place } of this.#threads) {
      if (this.#board.isAsleep(place)) port.post({ kind: "wake" });
    }
  }

  /** One of them has died without a word. */
  giveUp(): void {
    for (const thread of this.#threads) thread.failure ??= "it does not answer";
  }

  close(): void {
    for (const { port } of this.#threads) port.close();
  }
}

/** The threads that do something; the others are ended. */
async function those(
  threads: StartedThreads,
  does: (thread: HelperThread) => Promise<boolean>,
): Promise<StartedThreads> {
  const done = await Promise.all(threads.map(does));
  for (const [index, thread] of threads.entries()) {
    if (!done[index]) thread.port.close();
  }
  return threads.filter((_, index) => done[index]);
}
