import { Template } from "@huggingface/jinja";

/**
 * A parsed template in which methods of Python that the library has not, or has otherwise, are replaced.
 * It must be rendered with {@link templateMethods} among its variables.
 *
 * - `text.strip(characters)`, `lstrip`, `rstrip`: the library strips white space, whatever the characters.
 *   Templates strip line breaks so, and would lose the indentation of code.
 * - `text.format(…)`: the library has none.
 * - `object.items()`: the library takes a key of that name, which JSON schemas of arrays have.
 */
export function parseWithMethods(source: string): Template {
  const template = new Template(source);
  replaceMethods(template.parsed);
  return template;
}

/** What {@link parseWithMethods} writes calls of. Each throws an Error for a text that is none. */
export const templateMethods: Readonly<Record<string, (...args: unknown[]) => string>> = {
  sluice_strip: (text, characters) => stripEnd(stripStart(text, characters), characters),
  sluice_lstrip: stripStart,
  sluice_rstrip: stripEnd,
  sluice_format: format,
};

/** A node of the library's syntax tree; of its fields only those that are looked at. */
interface Node {
  type: string;
  callee?: Node;
  args?: Node[];
  object?: Node;
  property?: Node;
  computed?: boolean;
  value?: unknown;
}

function replaceMethods(node: unknown): void {
  if (typeof node !== "object" || node === null) return;
  for (const child of Object.values(node)) replaceMethods(child);
  const { type, callee, args = [] } = node as Node;
  const { object, property } = callee ?? {};
  if (type !== "CallExpression" || callee?.type !== "MemberExpression" || callee.computed) return;

  const name = String(property?.value);
  if (name === "items" && args.length === 0) {
    const filter = { type: "Identifier", value: "items" };
    Object.assign(node, { type: "FilterExpression", operand: object, filter });
  } else if (name === "format" || (args.length > 0 && /^[lr]?strip$/.test(name))) {
    const method = { type: "Identifier", value: `sluice_${name}` };
    Object.assign(node, { callee: method, args: [object, ...args] });
  }
}

function stripStart(text: unknown, characters: unknown): string {
  const { letters, isStripped } = toStrip(text, characters);
  const start = letters.findIndex((letter) => !isStripped(letter));
  return start < 0 ? "" : letters.slice(start).join("");
}

function stripEnd(text: unknown, characters: unknown): string {
  const { letters, isStripped } = toStrip(text, characters);
  return letters.slice(0, letters.findLastIndex((letter) => !isStripped(letter)) + 1).join("");
}

function toStrip(text: unknown, characters: unknown) {
  const set = typeof characters === "string" ? new Set(characters) : undefined;
  return {
    letters: Array.from(asText(text, "strip")),
    isStripped: (letter: string) => (set === undefined ? /\s/.test(letter) : set.has(letter)),
  };
}

/** `{}` and `{0}`, and doubled braces, as Python's `str.format` has them. */
function format(text: unknown, ...values: unknown[]): string {
  let next = 0;
  return asText(text, "format").replace(/\{\{|\}\}|\{([^{}]*)\}/g, (match, index?: string) => {
    if (index === undefined) return match.slice(1);
    const place = index === "" ? next++ : Number(index);
    if (!(place in values)) throw new Error(`format() cannot fill ${match}`);
    return String(values[place]);
  });
}

function asText(text: unknown, method: string): string {
  if (typeof text === "string") return text;
  throw new Error(`${method}() is a method of strings`);
}
