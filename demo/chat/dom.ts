const SVG = "http://www.w3.org/2000/svg";

/** The element of the page with that tag and id. A missing one is a bug of the page. */
export function byId<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  id: string,
): HTMLElementTagNameMap[K] {
  const found = document.querySelector<HTMLElementTagNameMap[K]>(`${tag}#${id}`);
  if (!found) throw new Error(`unreachable: the page has no <${tag} id="${id}">`);
  return found;
}

/** A new element with attributes and children. Strings become text, never markup. */
export function create<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string>> = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** A push button that does `act`. */
export function button(label: string, className: string, act: () => void): HTMLButtonElement {
  const element = create("button", { type: "button", class: className }, label);
  element.addEventListener("click", act);
  return element;
}

/** The rows of a `<dl>`: one `<div>` with a term and its value each. */
export function definitionRows(rows: readonly (readonly [string, string])[]): HTMLElement[] {
  return rows.map(([term, value]) =>
    create("div", {}, create("dt", {}, term), create("dd", {}, value)),
  );
}

/** A drawing in a square, as wide as its class says: the outlines of `path` filled, what overlaps left open. */
export function drawing(path: string, className: string): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  const shape = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 100 100");
  svg.setAttribute("class", className);
  svg.setAttribute("aria-hidden", "true");
  shape.setAttribute("d", path);
  shape.setAttribute("fill-rule", "evenodd");
  svg.append(shape);
  return svg;
}
