import { nameOfUrl } from "./format.ts";

/** A model that the person chose. */
export interface ModelChoice {
  readonly kind: "bundled" | "url" | "file";
  readonly label: string;
  readonly source: string | readonly File[];
}

/** A suggestion for the URL field. */
export interface StockModel {
  readonly label: string;
  readonly url: string;
}

const HUGGING_FACE = "https://huggingface.co";

/** Stock files that people may have heard of. Offered by name only: the page fetches none by itself. */
export const STOCK_MODELS: readonly StockModel[] = [
  {
    label: "SmallThinker 4B-A0.6B, Q4_0: 2.4 GB download, not tested here",
    url: `${HUGGING_FACE}/PowerInfer/SmallThinker-4BA0.6B-Instruct-INT4-QAT/resolve/main/SmallThinker-4B-A0.6B-Instruct-qat.Q4_0.gguf`,
  },
  {
    label: "OLMoE 1B-7B, Q4_K_M: 4.2 GB download, not tested here",
    url: `${HUGGING_FACE}/allenai/OLMoE-1B-7B-0125-Instruct-GGUF/resolve/main/OLMoE-1B-7B-0125-Instruct-Q4_K_M.gguf`,
  },
  {
    label: "Qwen3 30B-A3B, Q4_K_M: 18.6 GB download, not tested here",
    url: `${HUGGING_FACE}/Qwen/Qwen3-30B-A3B-GGUF/resolve/main/Qwen3-30B-A3B-Q4_K_M.gguf`,
  },
];

const BUNDLED_FILE = "sluice-small.gguf";

/** What a person may ask the bundled model, which knows small stories and simple facts. */
export const BUNDLED_PROMPTS: readonly string[] = [
  "Tell me a story about a fox and a lantern.",
  "Tell me a story about a robot and a flute.",
  "What is the opposite of brave?",
  "What sound does an owl make?",
];

/** What a person may ask any other model. */
export const GENERAL_PROMPTS: readonly string[] = [
  "Explain in three sentences why the sky is blue.",
  "Write a short poem about a canal lock.",
  "Give me five names for a small boat.",
];

/**
 * The model that comes with the page.
 * @param files address of every GGUF beside the page, by its path; the one made for the page is preferred
 */
export function chooseBundled(files: Readonly<Record<string, string>>): ModelChoice | undefined {
  const paths = Object.keys(files).sort();
  const path = paths.find((name) => name.endsWith(`/${BUNDLED_FILE}`)) ?? paths[0];
  const source = path === undefined ? undefined : files[path];
  if (path === undefined || source === undefined) return undefined;
  return { kind: "bundled", label: nameOfUrl(path), source };
}

/** The model at an address that a person typed. */
export function chooseUrl(url: string): ModelChoice {
  const source = url.trim();
  return { kind: "url", label: nameOfUrl(source), source };
}

/** The model in the files that a person picked or dropped: one, or the parts of a split one. Undefined for none. */
export function chooseFiles(list: Iterable<File>): ModelChoice | undefined {
  const files = [...list].sort((a, b) => (a.name < b.name ? -1 : 1));
  const [first] = files;
  return first && { kind: "file", label: nameOfUrl(first.name), source: files };
}
