import { SluiceError } from "../errors.ts";

/** Characters of the private use area by what they stand for. */
export type Literals = ReadonlyMap<string, string>;

/** A value with stand-ins in its strings. */
export interface Hidden<T> {
  readonly value: T;
  readonly literals: Literals;
}

const FIRST_STAND_IN = 0xe000;
const LAST_STAND_IN = 0xf8ff;

/**
 * Hides, in every string of `value`, each character that begins one of `texts`.
 *
 * @param around text that the stand-ins will stand in, to take characters that it lacks
 */
export function hideFirstCharacters<T>(
  value: T,
  texts: readonly string[],
  around: string,
): Hidden<T> {
  const standIns = standInsFor([value, around], texts);
  return hide(value, standIns, (text) => {
    let hidden = text;
    for (const [first, standIn] of standIns) hidden = hidden.replaceAll(first, standIn);
    return hidden;
  });
}

/**
 * Hides, in every string of `value`, the first character of each whole occurrence of one of `texts`,
 * and of a beginning of one at the string's end, which another string might complete.
 */
export function hideControlTexts<T>(value: T, texts: readonly string[], around: string): Hidden<T> {
  const standIns = standInsFor([value, around], texts);
  return hide(value, standIns, (text) => {
    let hidden = text;
    for (const target of texts) {
      const standIn = standIns.get(firstOf(target)) ?? "";
      const rest = target.slice(firstOf(target).length);
      hidden = hidden.replaceAll(target, standIn + rest);
    }
    const end = openEnd(hidden, texts);
    if (end === undefined) return hidden;
    const first = firstOf(hidden.slice(end));
    return hidden.slice(0, end) + (standIns.get(first) ?? "") + hidden.slice(end + first.length);
  });
}

/** `text` with what the stand-ins stand for. */
export function restore(text: string, literals: Literals): string {
  let restored = text;
  for (const [standIn, original] of literals) restored = restored.replaceAll(standIn, original);
  return restored;
}

/** Where the earliest beginning of one of `texts` starts with which `text` ends, white space aside. */
function openEnd(text: string, texts: readonly string[]): number | undefined {
  const trimmed = text.trimEnd();
  const longest = Math.max(0, ...texts.map((target) => target.length - 1));
  for (let start = Math.max(0, trimmed.length - longest); start < trimmed.length; start += 1) {
    const end = trimmed.slice(start);
    if (texts.some((target) => target.startsWith(end))) return start;
  }
  return undefined;
}

function hide<T>(
  value: T,
  standIns: ReadonlyMap<string, string>,
  change: (text: string) => string,
): Hidden<T> {
  const literals = new Map([...standIns].map(([original, standIn]) => [standIn, original]));
  return { value: mapStrings(value, change) as T, literals };
}

/** By first character of `texts`: a private character that `value` does not hold. */
function standInsFor(value: unknown, texts: readonly string[]): ReadonlyMap<string, string> {
  const used = new Set<string>();
  mapStrings(value, (text) => {
    for (const character of text) if (character >= "\ue000") used.add(character);
    return text;
  });
  const standIns = new Map<string, string>();
  let code = FIRST_STAND_IN;
  for (const first of new Set(texts.map(firstOf))) {
    while (used.has(String.fromCharCode(code))) code += 1;
    if (code > LAST_STAND_IN) {
      throw new SluiceError(
        "bad-input",
        "The messages hold every character of the private use area; remove some of them.",
      );
    }
    standIns.set(first, String.fromCharCode(code));
    code += 1;
  }
  return standIns;
}

function firstOf(text: string): string {
  return String.fromCodePoint(text.codePointAt(0) ?? 0);
}

/** A copy of plain data with every string, but not the keys, changed. */
function mapStrings(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === "string") return change(value);
  if (Array.isArray(value)) return value.map((item) => mapStrings(item, change));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, mapStrings(item, change)]),
  );
}
