import { workBytes } from "../formats/footprint.ts";
import type {
  Access,
  Constants,
  Kernel,
  ParamType,
  ParamValues,
  PassShape,
} from "../gpu/kernel.ts";

/** The least that a step does: see `KernelWork`. */
export interface StepWork {
  readonly bytes: number;
  readonly multiplyAdds: number;
}

/** What a dispatch of `kernel` does at least in a pass, if the kernel says. */
export function workOf<
  Params extends Record<string, ParamType>,
  Buffers extends Record<string, Access>,
>(
  { work }: Kernel<Params, Buffers>,
  dispatch: {
    readonly params: ParamValues<Params>;
    readonly parts?: readonly string[];
    readonly single?: boolean;
  },
  constants: Constants,
): ((pass: PassShape) => StepWork) | undefined {
  if (!work) return undefined;
  const { params, parts = [], single } = dispatch;
  return ({ tokens, position }) => {
    const own = work(params, constants, { tokens: single ? 1 : tokens, position });
    return { bytes: workBytes(own, parts), multiplyAdds: own.multiplyAdds };
  };
}

/** Buffers of weights are labelled with their tensors' names, caches and states with their layer. */
const OF_LAYER = /^blk\.(\d+)\.|of layer (\d+)$/;

/** The layer that one of the buffers belongs to by its label. */
export function layerOf(buffers: readonly GPUBuffer[]): number | undefined {
  for (const { label } of buffers) {
    const [, ofTensor, ofCache] = OF_LAYER.exec(label) ?? [];
    const layer = ofTensor ?? ofCache;
    if (layer !== undefined) return Number(layer);
  }
  return undefined;
}
