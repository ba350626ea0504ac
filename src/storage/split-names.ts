/** Where a file stands among the parts of a split model, as its name tells. */
export interface SplitNames {
  /** The names of all parts, in order. */
  readonly names: readonly string[];
  /** Which of them was given, from 0 on. */
  readonly index: number;
}

/** `-00002-of-00005` before the ending, and before the query of an address. Source: `llama_split_path` of llama.cpp. */
const PART = /-(\d{5})-of-(\d{5})(?=\.gguf(?:[?#&]|$))/i;

/**
 * The parts of a model that was split into several files, from the name, path or address of any of them; undefined for
 * a file that is the whole model.
 *
 * @example
 * splitNames("qwen-00002-of-00002.gguf")?.names; // ["qwen-00001-of-00002.gguf", "qwen-00002-of-00002.gguf"]
 */
export function splitNames(name: string): SplitNames | undefined {
  const match = PART.exec(name);
  if (!match) return undefined;
  const [number, count] = match.slice(1).map(Number) as [number, number];
  if (count < 2 || number < 1 || number > count) return undefined;
  const before = name.slice(0, match.index);
  const after = name.slice(match.index + match[0].length);
  const digits = (value: number) => String(value).padStart(5, "0");
  const names = Array.from(
    { length: count },
    (_, index) => `${before}-${digits(index + 1)}-of-${digits(count)}${after}`,
  );
  return { names, index: number - 1 };
}

/** The name that stands for the whole model: that of its first part. */
export function firstName(name: string): string {
  return splitNames(name)?.names[0] ?? name;
}
