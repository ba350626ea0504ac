import { TOKEN_TYPES } from "./token-types.ts";
import type { Vocabulary } from "./vocabulary.ts";

const encoder = new TextEncoder();

/**
 * The character that byte-level BPE writes for each byte: printable bytes as themselves, the others
 * from U+0100 on. Source: `bytes_to_unicode` of GPT-2's encoder.py.
 */
export const BYTE_CHARACTERS: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  String.fromCodePoint(isPrintable(byte) ? byte : 256 + unprintablesBelow(byte)),
);

const BYTE_OF_CHARACTER: ReadonlyMap<string, number> = new Map(
  BYTE_CHARACTERS.map((character, byte) => [character, byte]),
);

function isPrintable(byte: number): boolean {
  return (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
}

function unprintablesBelow(byte: number): number {
  let count = 0;
  for (let below = 0; below < byte; below += 1) if (!isPrintable(below)) count += 1;
  return count;
}

/** The text that a token stands for, as UTF-8; a token may hold part of a character. */
export function tokenBytes(vocabulary: Vocabulary, id: number): Uint8Array<ArrayBuffer> {
  const token = vocabulary.tokens[id] ?? "";
  const type = vocabulary.types[id];
  if (type === TOKEN_TYPES.byte) {
    const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
    return byte === undefined ? encoder.encode(token) : Uint8Array.of(Number.parseInt(byte, 16));
  }
  if (isSpelledOut(type)) return encoder.encode(token);
  if (vocabulary.spelling === "pieces") return encoder.encode(token.replaceAll("▁", " "));
  const bytes: number[] = [];
  for (const character of token) {
    const byte = BYTE_OF_CHARACTER.get(character);
    if (byte === undefined) bytes.push(...encoder.encode(character));
    else bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

/** Whether tokens of the type are stored as plain text. */
function isSpelledOut(type: number | undefined): boolean {
  return (
    type === TOKEN_TYPES.control || type === TOKEN_TYPES.userDefined || type === TOKEN_TYPES.unknown
  );
}
