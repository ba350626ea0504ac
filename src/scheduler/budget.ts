import { SluiceError } from "../errors.ts";

const BYTES_PER_UNIT = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
} as const;

/** A unit that a budget can be written in. */
export type ByteUnit = keyof typeof BYTES_PER_UNIT;

/** A budget as it was asked for: a number of bytes, or the share of all experts' bytes that may be resident. */
export type ParsedBudget =
  | { readonly kind: "bytes"; readonly bytes: number; readonly unit: ByteUnit }
  | { readonly kind: "share"; readonly share: number };

/** What a model needs of the GPU. */
export interface GpuNeeds {
  /** What is always there: ordinary weights, KV cache, scratch. */
  readonly residentBytes: number;
  /** Bytes of one expert's record, for each pool. */
  readonly recordBytes: readonly number[];
  /** Experts of a pool. */
  readonly experts: number;
  /** Experts that a token uses in a pool: no pool works with fewer slots. */
  readonly topK: number;
}

/** How a budget is spent. */
export interface SlotPlan {
  /** Slots of each pool, from `topK` to `experts`. */
  readonly slotCounts: readonly number[];
  /** Everything on the GPU: what is always there and the slots. */
  readonly gpuBytes: number;
}

/** Reads a budget: bytes as a number, `"512MB"`, `"2GiB"`, or `"50%"`. Throws "bad-input" for anything else. */
export function parseBudget(budget: number | string): ParsedBudget {
  if (typeof budget === "number") {
    if (!Number.isFinite(budget) || budget < 0) throw notABudget(String(budget));
    return { kind: "bytes", bytes: Math.floor(budget), unit: "B" };
  }

  const [, digits, name] = /^\s*(\d+(?:\.\d+)?|\.\d+)\s*(%|[kmgt]?i?b)\s*$/i.exec(budget) ?? [];
  if (digits === undefined || name === undefined) throw notABudget(`"${budget}"`);
  const value = Number(digits);
  if (name === "%") {
    if (value > 100) {
      throw new SluiceError(
        "bad-input",
        `A budget of ${digits} % is more than all experts: give 0 % to 100 %, or bytes.`,
      );
    }
    return { kind: "share", share: value / 100 };
  }
  const unit = unitNamed(name);
  if (!unit) throw notABudget(`"${budget}"`);
  const bytes = Math.round(value * BYTES_PER_UNIT[unit]);
  if (!Number.isSafeInteger(bytes)) throw notABudget(`"${budget}"`);
  return { kind: "bytes", bytes, unit };
}

/**
 * Turns a budget into slots: a share gives every pool that share of its experts, rounded down; bytes are for
 * everything on the GPU and give all pools the same number of slots, what is left over going to the first ones.
 * Throws "budget-too-small", naming the smallest budget that works, when a pool would have fewer than `topK` slots.
 */
export function planSlots(request: GpuNeeds & { readonly budget: ParsedBudget }): SlotPlan {
  const { budget } = request;
  const slotCounts =
    budget.kind === "share" ? slotsOfShare(request, budget.share) : slotsOfBytes(request, budget);
  return { slotCounts, gpuBytes: gpuBytesOf(request, slotCounts) };
}

/** What a budget of a tier below the GPU comes to, where all experts take `expertBytes`. */
export function bytesOfBudget(budget: ParsedBudget, expertBytes: number): number {
  return budget.kind === "bytes" ? budget.bytes : Math.floor(budget.share * expertBytes);
}

/** Shares of the experts that are tried, one after another, where no budget is given. */
const SHARES_TO_TRY = [1, 0.75, 0.5, 0.35, 0.25, 0.15, 0.1];

/** Plans to try until the GPU has room for one: from all experts down to `topK` slots in each pool. */
export function slotPlansToTry(needs: GpuNeeds): SlotPlan[] {
  const { experts, topK, recordBytes } = needs;
  const slots = [...SHARES_TO_TRY.map((share) => Math.floor(share * experts)), topK];
  return [...new Set(slots)]
    .filter((count) => count >= topK)
    .sort((a, b) => b - a)
    .map((count) => {
      const slotCounts = recordBytes.map(() => count);
      return { slotCounts, gpuBytes: gpuBytesOf(needs, slotCounts) };
    });
}

/** The smallest budget in bytes that works: `topK` slots in each pool. */
export function minBudgetBytes(needs: GpuNeeds): number {
  return gpuBytesOf(
    needs,
    needs.recordBytes.map(() => needs.topK),
  );
}

/** The budget in bytes at which every expert has a slot. */
export function fullBudgetBytes(needs: GpuNeeds): number {
  return gpuBytesOf(
    needs,
    needs.recordBytes.map(() => needs.experts),
  );
}

function slotsOfShare({ recordBytes, experts, topK }: GpuNeeds, share: number): number[] {
  const slots = Math.floor(share * experts + 1e-9); // 0.29 * 100 is 28.999999999999996
  if (slots < topK && recordBytes.length > 0) {
    const percent = Math.ceil((100 * topK) / experts);
    throw new SluiceError(
      "budget-too-small",
      `A budget of ${roundTo(100 * share, 4)} % keeps ${slots} of ${experts} experts in a layer, but a token uses ` +
        `${topK}: give at least ${percent} % (${topK} of ${experts} experts in a layer).`,
    );
  }
  return recordBytes.map(() => slots);
}

function slotsOfBytes(needs: GpuNeeds, budget: { bytes: number; unit: ByteUnit }): number[] {
  const { recordBytes, experts, residentBytes } = needs;
  const leastBytes = minBudgetBytes(needs);
  if (budget.bytes < leastBytes) {
    throw new SluiceError(
      "budget-too-small",
      `A budget of ${inUnit(budget.bytes, budget.unit, Math.floor)} is too small: this model takes ` +
        `${inUnit(residentBytes, budget.unit, Math.ceil)} and ${needs.topK} expert slots in each layer. ` +
        `Give at least ${inUnit(leastBytes, budget.unit, Math.ceil)}.`,
    );
  }

  const rowBytes = recordBytes.reduce((sum, bytes) => sum + bytes, 0); // one slot in every pool
  let leftBytes = budget.bytes - residentBytes;
  const even = rowBytes === 0 ? experts : Math.min(experts, Math.floor(leftBytes / rowBytes));
  leftBytes -= even * rowBytes;
  return recordBytes.map((bytes) => {
    if (even === experts || bytes > leftBytes) return even;
    leftBytes -= bytes;
    return even + 1;
  });
}

function gpuBytesOf({ residentBytes, recordBytes }: GpuNeeds, slotCounts: readonly number[]) {
  return recordBytes.reduce((sum, bytes, pool) => sum + bytes * slotCounts[pool]!, residentBytes);
}

/** `bytes` in `unit`, rounded to a thousandth: up for what is needed, so that it works when it is given back. */
function inUnit(bytes: number, unit: ByteUnit, round: (value: number) => number): string {
  if (unit === "B") return `${bytes} bytes`;
  const thousandths = round((1000 * bytes) / BYTES_PER_UNIT[unit]);
  return `${thousandths / 1000} ${unit}`;
}

function unitNamed(name: string): ByteUnit | undefined {
  return (Object.keys(BYTES_PER_UNIT) as ByteUnit[]).find(
    (unit) => unit.toLowerCase() === name.toLowerCase(),
  );
}

function roundTo(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

function notABudget(got: string): SluiceError {
  return new SluiceError(
    "bad-input",
    `${got} is not a budget: give bytes as a number, or a text such as "512MB", "2GiB" or "50%".`,
  );
}
