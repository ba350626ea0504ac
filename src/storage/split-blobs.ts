import { SluiceError } from "../errors.ts";
import { blobSource } from "./blob-source.ts";
import type { ByteSource } from "./byte-source.ts";
import { joinSources } from "./joined-source.ts";
import { splitNames } from "./split-names.ts";

/**
 * The files that a user chose: one model, whole or in parts, which may come in any order. Throws "not-found" naming the
 * parts that are missing, and "bad-input" for files that are not of one model.
 */
export function blobsSource(blobs: readonly Blob[]): ByteSource {
  const [first] = blobs;
  if (!first) throw new SluiceError("bad-input", "No file was given. Choose a GGUF file.");
  const names = splitNames(nameOf(first))?.names ?? [nameOf(first)];
  const byName = new Map(blobs.map((blob) => [nameOf(blob), blob]));
  if (byName.size < blobs.length || [...byName.keys()].some((name) => !names.includes(name))) {
    throw new SluiceError(
      "bad-input",
      `${list(blobs.map(nameOf))} are not the parts of one model, which are named NAME-00001-of-00002.gguf and so on. ` +
        "Choose one file, or all parts of one model.",
    );
  }
  const missing = names.filter((name) => !byName.has(name));
  if (missing.length > 0) {
    throw new SluiceError(
      "not-found",
      `${list(missing)} ${missing.length === 1 ? "is" : "are"} missing: the model is split into ${names.length} files. ` +
        "Choose all of them at once.",
    );
  }
  return joinSources(names.map((name) => blobSource(byName.get(name)!)));
}

/** Empty for a `Blob` that is no `File`. */
function nameOf(blob: Blob): string {
  return "name" in blob && typeof blob.name === "string" ? blob.name : "";
}

/** Most names in a sentence. */
const LISTED = 4;

function list(names: readonly string[]): string {
  const shown = names.slice(0, LISTED).map((name) => name || "a blob without a name");
  const more = names.length - shown.length;
  return more > 0 ? `${shown.join(", ")} and ${more} more` : shown.join(", ");
}
