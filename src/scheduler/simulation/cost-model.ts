import { SluiceError } from "../../errors.ts";

/** What the simulator's clock goes by: milliseconds, and milliseconds a byte. All are finite and at least 0. */
export interface CostModel {
  /** One token through one MoE layer with everything resident, attention included. */
  readonly layerMs: number;
  /** The part of `layerMs` that the experts take, at most all of it; what lies before it hides a readback of an early router. */
  readonly expertMs: number;
  /** What a further token of the same pass adds to `layerMs`. */
  readonly prefillLayerMs: number;
  /** One layer's steps when they return at once, behind a fault. */
  readonly skippedLayerMs: number;
  /** What a pass takes beside its MoE layers: embedding, head, sampling. */
  readonly passMs: number;
  /** From the end of the GPU's work to the host's knowing, submit included. */
  readonly readbackMs: number;
  /** The most of a readback that is hidden where a layer's choice is read ahead of its experts. */
  readonly overlapMs: number;
  /** Writing a record into its slot: for each record, and for each byte. */
  readonly uploadMs: number;
  readonly uploadMsPerByte: number;
  /** Copying a record in RAM on its way to the upload. */
  readonly ramMsPerByte: number;
  /** Reading a record from disk: latency, which requests share, and bytes, for which they queue. */
  readonly diskMs: number;
  readonly diskMsPerByte: number;
  /** Fetching a record from the network, likewise. */
  readonly networkMs: number;
  readonly networkMsPerByte: number;
}

/**
 * Round figures of a small discrete GPU in Chromium on a home network, from the ranges of `docs/measurements.md`: 8
 * dispatches a layer, a readback of 2.5 ms, uploads of 0.5 GB/s, a disk of 0.7 GB/s, a network of 50 MB/s. For a real
 * device give its own.
 */
export const DEFAULT_COSTS: CostModel = {
  layerMs: 0.3,
  expertMs: 0.12,
  prefillLayerMs: 0.02,
  skippedLayerMs: 0.1,
  passMs: 0.6,
  readbackMs: 2.5,
  overlapMs: 2.5,
  uploadMs: 0.02,
  uploadMsPerByte: 2e-6,
  ramMsPerByte: 1e-7,
  diskMs: 0.15,
  diskMsPerByte: 1.4e-6,
  networkMs: 30,
  networkMsPerByte: 2e-5,
};

/** Reads costs as JSON; what is not named keeps its default. Throws "bad-file". */
export function parseCosts(text: string): CostModel {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw badCosts("it is not JSON", cause);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw badCosts("it is not a JSON object");
  }
  const names = Object.keys(DEFAULT_COSTS);
  for (const [name, cost] of Object.entries(value)) {
    if (!names.includes(name)) {
      throw badCosts(`"${name}" is not a cost; the costs are ${names.join(", ")}`);
    }
    if (typeof cost !== "number" || !(cost >= 0 && cost < Infinity)) {
      throw badCosts(`${name} is ${JSON.stringify(cost)}, must be a number, at least 0`);
    }
  }
  const costs = { ...DEFAULT_COSTS, ...value };
  if (costs.expertMs > costs.layerMs) {
    throw badCosts(`expertMs (${costs.expertMs}) is more than layerMs (${costs.layerMs})`);
  }
  return costs;
}

function badCosts(reason: string, cause?: unknown): SluiceError {
  return new SluiceError("bad-file", `This is not a file of costs: ${reason}.`, { cause });
}
