import type { Bounded } from "../../helpers/within.ts";
import { bounded, exact, sumOf, times, type Value } from "./bounds.ts";
import { gated } from "./gated_unit.ts";

/** What a causal convolution is run on, with the columns of x apart. */
export interface ConvInput {
  readonly channels: number;
  readonly taps: number;
  /** [taps - 1, channels], oldest first. */
  readonly state: ArrayLike<number>;
  /** [channels, taps], then [channels] where outputs are activated. */
  readonly filters: ArrayLike<number>;
  /** [tokens, width] */
  readonly x: ArrayLike<number>;
  readonly width: number;
  readonly kind: "gated" | "activated";
  readonly inputFirst: number;
}

/** The outputs [tokens, channels], and the state that is left. */
export function causalConvReference(input: ConvInput): {
  readonly y: Bounded;
  readonly state: Bounded;
} {
  const { channels, taps, state, filters, x, width } = input;
  const inputs = Array.from(state, exact);
  const y: Value[] = [];
  for (let first = 0; first < x.length; first += width) {
    for (let channel = 0; channel < channels; channel++)
      inputs.push(inputAt(input, first, channel));
    for (let channel = 0; channel < channels; channel++) {
      const products = Array.from({ length: taps }, (_, k) => {
        const at = inputs.length - (taps - k) * channels + channel;
        return times(exact(filters[channel * taps + k]!), inputs[at]!);
      });
      y.push(outputAt(input, first, channel, sumOf(products)));
    }
  }
  return { y: bounded(y), state: bounded(inputs.slice(inputs.length - (taps - 1) * channels)) };
}

function inputAt(input: ConvInput, first: number, channel: number): Value {
  const { x, kind, channels, inputFirst } = input;
  if (kind === "activated") return exact(x[first + inputFirst + channel]!);
  return times(exact(x[first + channel]!), exact(x[first + 2 * channels + channel]!));
}

function outputAt(input: ConvInput, first: number, channel: number, sum: Value): Value {
  const { x, kind, channels, taps, filters } = input;
  if (kind === "gated") return times(exact(x[first + channels + channel]!), sum);
  const biased = sumOf([sum, exact(filters[channels * taps + channel]!)]);
  return gated(biased, exact(1), "silu");
}
