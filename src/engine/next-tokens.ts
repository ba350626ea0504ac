import { SluiceError } from "../errors.ts";
import type { TraceRecorder } from "../experts/trace.ts";
import { uniformAt } from "../numeric/random.ts";
import type { ChooserName } from "../ops/program.ts";
import type { Flight } from "./flight.ts";
import type { History } from "./history.ts";
import type { ChoosingModel, RunningModel } from "./model.ts";
import type { PassOptions, PassResult } from "./pass.ts";
import { sampleToken } from "./sampler.ts";
import type { GenerateSettings } from "./settings.ts";

/** A token that a reply goes on with. */
export interface NextToken {
  readonly token: number;
  /** `[vocab]` that it was drawn from, where the host draws. */
  readonly logits?: Float32Array | undefined;
}

/** What gives a reply its tokens. Its maker calls `close`, also in the middle. */
export interface NextTokens {
  /**
   * The next tokens, one or more of them; undefined when the signal fired meanwhile. At most `wanted` are of use, and
   * none behind one that ends the text. Throws what a pass throws.
   */
  next(wanted: number): Promise<readonly NextToken[] | undefined>;
  close(): void;
}

/** What tokens are made with; all of it is the engine's. */
export interface NextTokensParts {
  readonly model: RunningModel;
  readonly history: History;
  readonly settings: GenerateSettings;
  readonly promptTokens: readonly number[];
  readonly signal: AbortSignal | undefined;
  /** Runs passes while no budget is being changed. */
  readonly exclusive: <Result>(work: () => Promise<Result>) => Promise<Result>;
  readonly recorder: TraceRecorder | undefined;
}

/** Gives the tokens that the GPU chooses, of which several are in flight. */
export class GpuTokens implements NextTokens {
  readonly #parts: NextTokensParts;
  readonly #flight: Flight;
  /** What the pass before has chosen, until it is given out. */
  #first: number | undefined;

  /** @param start what was chosen by a pass that was run with `continues`, and whether the reply has it already */
  constructor(
    parts: NextTokensParts,
    {
      token,
      chooser,
      given = false,
    }: { readonly token: number; readonly chooser: ChooserName; readonly given?: boolean },
  ) {
    const { model, history, settings, signal } = parts;
    this.#parts = parts;
    this.#first = given ? undefined : token;
    this.#flight = choosingOf(model).takeOff({
      token,
      position: history.length,
      chooser,
      // What is computed behind a stop text has advanced a recurrent state, and the conversation would start anew.
      most: settings.stop.length > 0 && model.spec.recurrent.length > 0 ? 1 : Infinity,
      signal,
    });
  }

  /** Whether tokens are under way. */
  get busy(): boolean {
    return this.#flight.busy;
  }

  async next(wanted: number): Promise<readonly NextToken[] | undefined> {
    if (this.#first !== undefined) {
      const token = this.#first;
      this.#first = undefined;
      return [{ token }];
    }
    const { exclusive, history, recorder, signal } = this.#parts;
    const landed = await unlessAborted(signal, () => exclusive(() => this.#flight.next(wanted)));
    if (!landed) return undefined;
    history.add([landed.token]);
    recorder?.record([landed.token], landed.result.ids);
    return [{ token: landed.result.next }];
  }

  close(): void {
    this.#parts.history.wrote(this.#flight.end);
    this.#flight.close();
  }
}

/** Reads the logits of each token and draws the next one on the host. */
export class HostTokens implements NextTokens {
  readonly #parts: NextTokensParts;
  readonly #tokens: number[];
  #pass: PassResult;
  #given = false;

  /** @param prompted the prompt's last pass, with its logits */
  constructor(parts: NextTokensParts, prompted: PassResult) {
    this.#parts = parts;
    this.#tokens = [...parts.promptTokens];
    this.#pass = prompted;
  }

  async next(): Promise<readonly NextToken[] | undefined> {
    if (this.#given) {
      const pass = await runPass(this.#parts, this.#tokens.slice(-1), { logits: true });
      if (!pass) return undefined;
      this.#pass = pass;
    }
    const logits = this.#pass.logits!;
    const { sampler, seed } = this.#parts.settings;
    const draw = () => uniformAt(seed, this.#tokens.length);
    const token = sampleToken(logits, sampler, this.#tokens, draw);
    this.#tokens.push(token);
    this.#given = true;
    return [{ token, logits }];
  }

  close(): void {}
}

/** What a device that chooses tokens can do. */
export function choosingOf({ choosing }: RunningModel): ChoosingModel {
  if (!choosing) throw new Error("unreachable: the host draws the tokens of this model");
  return choosing;
}

/** One pass at the end of the history; undefined when it was aborted. */
export async function runPass(
  { model, history, signal, exclusive, recorder }: Omit<NextTokensParts, "promptTokens">,
  tokens: readonly number[],
  options: Pick<PassOptions, "logits" | "continues" | "chooser" | "predicts">,
): Promise<PassResult | undefined> {
  const position = history.length;
  const pass = await unlessAborted(signal, () =>
    history.compute(tokens, () =>
      exclusive(() => model.pass(tokens, position, { ...options, signal })),
    ),
  );
  if (pass) recorder?.record(tokens, pass.ids);
  return pass;
}

/** What `work` gives; undefined when it was aborted, or is not to begin. */
export async function unlessAborted<Result>(
  signal: AbortSignal | undefined,
  work: () => Promise<Result>,
): Promise<Result | undefined> {
  if (signal?.aborted) return undefined;
  try {
    return await work();
  } catch (error) {
    if (error instanceof SluiceError && error.code === "aborted") return undefined;
    throw error;
  }
}
