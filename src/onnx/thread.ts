/** How onnxruntime-web names the workers that are its threads. */
const THREAD_NAME = "em-pthread";

/**
 * Whether this worker is one of onnxruntime-web's threads. They start from the script that has its code: where a bundler has
 * put that into the engine's own script, from there.
 */
export function isOnnxThread(): boolean {
  const { name } = globalThis as { readonly name?: unknown };
  return typeof name === "string" && name.startsWith(THREAD_NAME);
}

/** Makes this worker the thread that it was started as: the module sees to that when it runs. */
export async function runOnnxThread(): Promise<void> {
  await import("onnxruntime-web/wasm");
}
