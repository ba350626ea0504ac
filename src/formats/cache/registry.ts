import { f16 } from "./f16.ts";
import { f32 } from "./f32.ts";
import type { CacheFormat } from "./format.ts";
import { q8_0 } from "./q8_0.ts";

/** Every format of the KV cache, by name. To add one: write its files and name it here. */
export const cacheFormats = { f32, f16, q8_0 } as const satisfies Record<string, CacheFormat>;

/** The name of a format of the KV cache. */
export type CacheFormatName = keyof typeof cacheFormats;

/** Unless asked for: nothing is lost. */
export const DEFAULT_CACHE_FORMAT: CacheFormatName = "f32";
