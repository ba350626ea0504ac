import type { LoadProgress } from "../rpc/api.ts";
import { formatBytes } from "./units.ts";

/** Where a command's words go: results to standard output, progress to standard error. */
export interface Output {
  text(text: string): void;
  /** One object on one line: the last thing that a command with `--json` writes. */
  json(value: object): void;
  progress(progress: LoadProgress): void;
  /** Where the work stands, in the place of what was said before; undefined when it is done. */
  status(line: string | undefined): void;
  /** A line for who wants to know more. */
  log(line: string): void;
  /** Waits until everything is written: a pipe takes it later than a file. */
  flush(): Promise<void>;
}

/** Writes progress only where somebody watches: on a terminal, as one line that changes, or if `verbose`. */
export function createOutput({ verbose }: { readonly verbose: boolean }): Output {
  const { stdout, stderr } = process;
  let lastPhase: string | undefined;

  function progress({ phase, loadedBytes, totalBytes }: LoadProgress): void {
    const line =
      totalBytes > 0 ? `${phase} ${formatBytes(loadedBytes)} of ${formatBytes(totalBytes)}` : phase;
    if (stderr.isTTY) status(phase === "ready" ? undefined : line);
    else if (phase !== lastPhase) status(line);
    lastPhase = phase;
  }

  function status(line = ""): void {
    if (stderr.isTTY) stderr.write(`\r\x1b[K${line}`);
    else if (verbose && line) stderr.write(`${line}\n`);
  }

  return {
    text: (text) => void stdout.write(text),
    json: (value) => void stdout.write(`${JSON.stringify(value)}\n`),
    progress,
    status,
    log: (line) => void (verbose && stderr.write(`${line}\n`)),
    flush: async () => {
      for (const stream of [stdout, stderr]) {
        await new Promise<void>((resolve) => stream.write("", () => resolve()));
      }
    },
  };
}
