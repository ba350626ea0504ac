import { SluiceError } from "../errors.ts";
import type { ByteSource } from "./byte-source.ts";
import { splitNames } from "./split-names.ts";

/** Parts that are opened at once: a model may have dozens. */
const OPENED_AT_ONCE = 6;

/**
 * Opens the file of that name or, if the name says that it is a part of a split model, every part of it, in order.
 * Throws what `open` throws, after closing the parts that were opened; "not-found" says which part is missing.
 */
export async function openParts<Source extends ByteSource>(
  name: string,
  open: (name: string) => Promise<Source>,
): Promise<readonly Source[]> {
  const split = splitNames(name);
  if (!split) return [await open(name)];
  const { names } = split;
  const opened: Source[] = [];
  for (let first = 0; first < names.length; first += OPENED_AT_ONCE) {
    const batch = names.slice(first, first + OPENED_AT_ONCE);
    const results = await Promise.allSettled(batch.map(open));
    for (const result of results) if (result.status === "fulfilled") opened.push(result.value);
    const failed = results.findIndex(({ status }) => status === "rejected");
    if (failed < 0) continue;
    await Promise.all(opened.map((source) => source.close?.()));
    const { reason } = results[failed] as PromiseRejectedResult;
    throw missing(reason, first + failed, names.length);
  }
  return opened;
}

function missing(reason: unknown, index: number, count: number): unknown {
  if (!(reason instanceof SluiceError) || reason.code !== "not-found") return reason;
  return new SluiceError(
    "not-found",
    `${reason.message} It is part ${index + 1} of a model split into ${count} files, which all have to be in one place.`,
    { cause: reason },
  );
}
