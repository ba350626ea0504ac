/** Keeps a number and its unit on one line. */
const NBSP = "\u00a0";

const UNITS = ["B", "kB", "MB", "GB", "TB"] as const;

/** Bytes in powers of 1000 with at most three digits: `5.24 MB`. */
export function formatBytes(bytes: number): string {
  let value = Math.max(0, bytes);
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)}${NBSP}${UNITS[unit]}`;
}

/** A share in whole percent: `50 %`. */
export function formatPercent(percent: number): string {
  return `${Math.round(percent)}${NBSP}%`;
}

/** A duration: milliseconds below a second, then seconds. */
export function formatMs(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)}${NBSP}ms`;
  return `${(ms / 1000).toFixed(ms < 9950 ? 2 : 1)}${NBSP}s`;
}

/** A whole number with separators: `12,345`. */
export function formatCount(count: number): string {
  return Math.round(count).toLocaleString("en");
}

/** A number that is often small: one decimal below 100, none above. */
export function formatRate(value: number): string {
  return value >= 99.95 ? formatCount(value) : value.toFixed(1);
}

/** `1 token`, `2 tokens`. */
export function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** What a file is called in the page: the last part of its URL, without query and extension. */
export function nameOfUrl(url: string): string {
  const path = url.split(/[?#]/, 1)[0] ?? "";
  const last = path.split("/").filter(Boolean).at(-1) ?? url;
  return decodeSafely(last).replace(/(-\d{5}-of-\d{5})?\.gguf$/i, "");
}

function decodeSafely(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
