import { transfer } from "comlink";
import { SluiceError } from "../errors.ts";
import type { ModelSource } from "./api.ts";

/**
 * A model source as it crosses to the worker. A URL becomes absolute against the page, for the worker's own location
 * may be elsewhere; bytes are copied and the copy moves, so the caller's stay usable. Throws "bad-input".
 */
export function toWireSource(source: ModelSource): string | Blob | readonly Blob[] | ArrayBuffer {
  if (typeof source === "string" || source instanceof URL) return resolveUrl(String(source));
  if (source instanceof Blob || isListOfBlobs(source)) return source;
  if (source instanceof ArrayBuffer) return moved(source.slice());
  if (source instanceof Uint8Array) return moved(new Uint8Array(source).buffer);
  throw new SluiceError(
    "bad-input",
    `load() got ${source === null ? "null" : typeof source}; give it a URL, a File or Blob, the Files of a split model, or the bytes of a GGUF.`,
  );
}

function isListOfBlobs(source: ModelSource): source is readonly Blob[] {
  return Array.isArray(source) && source.every((part) => part instanceof Blob);
}

function moved(copy: ArrayBuffer): ArrayBuffer {
  return transfer(copy, [copy]);
}

function resolveUrl(url: string): string {
  return absolute(
    url,
    'a URL of a model. Give one such as "/models/tiny.gguf" or "https://example.com/tiny.gguf"',
  );
}

/** The URL of a folder as it crosses to the worker: absolute against the page, with its slash. Throws "bad-input". */
export function toWireFolder(folder: string | URL): string {
  const url = absolute(String(folder), 'a URL of a folder. Give one such as "/onnxruntime/"');
  return url.endsWith("/") ? url : `${url}/`;
}

function absolute(url: string, wanted: string): string {
  try {
    return new URL(url, globalThis.document?.baseURI ?? globalThis.location?.href).href;
  } catch (cause) {
    throw new SluiceError("bad-input", `${JSON.stringify(url)} is not ${wanted}.`, { cause });
  }
}
