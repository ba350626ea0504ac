import { type TransferHandler, transferHandlers } from "comlink";
import { SluiceError } from "../errors.ts";
import type { WireError } from "./api.ts";

/** A thrown value in Comlink's hands: it wraps what a call threw before it looks for a handler. */
interface Thrown {
  readonly value: unknown;
}

const THROW = "throw";
const inherited = transferHandlers.get(THROW) as TransferHandler<Thrown, unknown>;

const keepCode: TransferHandler<Thrown, unknown> = {
  canHandle: inherited.canHandle,
  serialize(thrown) {
    const { value } = thrown;
    if (!(value instanceof SluiceError)) return inherited.serialize(thrown);
    const wire: WireError = { code: value.code, message: value.message };
    return [{ sluice: wire }, []];
  },
  deserialize(wire) {
    if (isSluiceWire(wire)) throw new SluiceError(wire.sluice.code, wire.sluice.message);
    return inherited.deserialize(wire);
  },
};

/**
 * Makes a `SluiceError` thrown at one end arrive as a `SluiceError` with its `code` at the other: Comlink's own handler
 * makes it a plain `Error`. Every other thrown value crosses as Comlink has it, an `Error` with its name and message.
 * Both ends call this before the first message; a second call does nothing.
 */
export function installErrorTransfer(): void {
  transferHandlers.set(THROW, keepCode);
}

function isSluiceWire(wire: unknown): wire is { readonly sluice: WireError } {
  return typeof wire === "object" && wire !== null && "sluice" in wire;
}
