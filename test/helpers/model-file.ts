import { Metadata, type MetadataValue } from "../../src/gguf/metadata.ts";
import type { ModelFile } from "../../src/models/model.ts";

/**
 * What a reader sees of a file with these keys, named without their architecture, and these tensors. Published files
 * are tried so: by their keys, and the tensors that their reader asks for.
 */
export function modelFile(
  architecture: string,
  keys: Readonly<Record<string, MetadataValue>>,
  shapes: Readonly<Record<string, readonly number[]>>,
): ModelFile {
  const named = Object.entries(keys).map(
    ([key, value]) => [`${architecture}.${key}`, value] as const,
  );
  return {
    metadata: new Metadata([["general.architecture", architecture], ...named]),
    shape: (tensor) => shapes[tensor],
  };
}
