import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { link, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { getModuleVersion } from "node-llama-cpp";
import { openLlamaOracle } from "./llama-oracle.ts";
import type { OracleFixture, OracleOptions } from "./oracle-command.ts";
import { expandToF32, type TinyModelOptions, tinyModel } from "./tiny-models.ts";

/** Ignored by git, and within what Vite serves. */
const FOLDER = fileURLToPath(new URL("../../.cache/oracle", import.meta.url));

/** What llama.cpp said is asked again when this changes. */
const ORACLE_SOURCE = new URL("llama-oracle.ts", import.meta.url);

/** Ids of bytes and merges, none special, none twice. */
const PROMPT = Array.from({ length: 24 }, (_, i) => (i * 37 + 11) % 250);

/**
 * A tiny model as a file that the tests' server serves, and what llama.cpp does with it. Node only: pages ask by
 * `commands.oracle`. What llama.cpp said is kept on disk, since every browser asks the same.
 */
export async function makeOracleFixture(options: OracleOptions): Promise<OracleFixture> {
  const { expand = false, prompt = PROMPT, steps = 16, ...model } = options;
  const bytes = modelBytes(model);
  const id = hash(JSON.stringify(options));
  const folder = join(FOLDER, id);
  await mkdir(folder, { recursive: true });
  const content = hash(bytes);
  const path = join(folder, `${content}.gguf`);
  await makeFile(path, bytes);

  const oracleSource = await readFile(ORACLE_SOURCE);
  const maker = hash(`${content} ${hash(oracleSource)} ${await getModuleVersion()}`);
  const answerPath = join(folder, `${maker}.json`);
  const known = await readFile(answerPath, "utf8").catch(() => undefined);
  const answer = known
    ? JSON.parse(known)
    : await askOracle(bytes, folder, { expand, prompt, steps });
  if (!known) await replaceFile(answerPath, JSON.stringify(answer));
  return { path, url: `/@fs${path}`, bytes: bytes.length, prompt, ...answer };
}

let last: { readonly key: string; readonly bytes: Uint8Array<ArrayBuffer> } | undefined;

/** A tiny model's bytes. The last ones are kept: most models are asked about twice, as they are and expanded. */
function modelBytes(options: TinyModelOptions): Uint8Array<ArrayBuffer> {
  const key = JSON.stringify(options);
  if (last?.key !== key) last = { key, bytes: tinyModel(options) };
  return last.bytes;
}

async function askOracle(
  bytes: Uint8Array,
  folder: string,
  { expand, prompt, steps }: Required<Pick<OracleOptions, "expand" | "prompt" | "steps">>,
): Promise<Pick<OracleFixture, "tokens" | "margins" | "logits" | "scores">> {
  const path = join(folder, `oracle-${process.pid}.gguf`);
  await writeFile(path, expand ? await expandToF32(bytes) : bytes);
  const oracle = await openLlamaOracle(path);
  try {
    const run = await oracle.greedy(prompt, steps);
    const scores = await oracle.score([...prompt, ...run.tokens]);
    return { ...run, logits: run.logits.map((logits) => Array.from(logits)), scores };
  } finally {
    await oracle.dispose();
    await rm(path);
  }
}

/** Writes a file that is named by its content, once: for the server, one that is written again is another version. */
async function makeFile(path: string, content: Uint8Array): Promise<void> {
  if (existsSync(path)) return;
  const temporary = `${path}.${process.pid}`;
  await writeFile(temporary, content);
  try {
    await link(temporary, path);
  } catch (error) {
    // Another process has made it meanwhile, and its reader may have begun.
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Writes a file so that whoever reads it meanwhile, in another test run, sees all of the old or all of the new. */
async function replaceFile(path: string, content: Uint8Array | string): Promise<void> {
  const temporary = `${path}.${process.pid}`;
  await writeFile(temporary, content);
  await rename(temporary, path);
}

function hash(content: Uint8Array | string): string {
  return createHash("sha256").update(content).digest("hex").slice(0, 16);
}
