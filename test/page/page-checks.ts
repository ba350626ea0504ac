/**
 * Checks that run inside the page (`page.evaluate(check)`), so each is one function that needs nothing outside itself.
 * Each answers with what it found wrong.
 */

/** Texts whose contrast with what is behind them is below 4.5 (3 if they are large). Disabled controls are exempt. */
export function lowContrasts(): string[] {
  const canvas = document.createElement("canvas");
  canvas.width = 1;
  canvas.height = 1;
  const context = canvas.getContext("2d", { willReadFrequently: true }) as CanvasRenderingContext2D;

  /** Red, green, blue of colours painted over each other, the last one on top. */
  function paint(colors: readonly string[]): number[] {
    context.clearRect(0, 0, 1, 1);
    for (const color of colors) {
      context.fillStyle = color;
      context.fillRect(0, 0, 1, 1);
    }
    return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
  }

  function luminance(rgb: readonly number[]): number {
    const [red = 0, green = 0, blue = 0] = rgb.map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  }

  const found: string[] = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    const text = node.nodeValue?.trim() ?? "";
    if (!element || text === "" || element.closest(":disabled, noscript, script")) continue;
    if (!element.checkVisibility({ visibilityProperty: true })) continue;
    const backgrounds: string[] = [];
    for (let at: Element | null = element; at; at = at.parentElement) {
      backgrounds.unshift(getComputedStyle(at).backgroundColor);
    }
    const style = getComputedStyle(element);
    const behind = ["#ffffff", ...backgrounds];
    const one = luminance(paint(behind));
    const other = luminance(paint([...behind, style.color]));
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    const sizePx = Number.parseFloat(style.fontSize);
    const large = sizePx >= 24 || (sizePx >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) found.push(`${ratio.toFixed(2)}: ${text.slice(0, 40)}`);
  }
  return found;
}

/** Controls without a name: no label, no text, no aria-label. */
export function unnamedControls(): string[] {
  const controls = [...document.querySelectorAll("button, input, textarea, select, [role]")];
  return controls
    .filter((control) => {
      const labels =
        control instanceof HTMLInputElement ||
        control instanceof HTMLTextAreaElement ||
        control instanceof HTMLSelectElement;
      const named =
        control.getAttribute("aria-label") ||
        control.getAttribute("aria-labelledby") ||
        (labels ? control.labels?.[0]?.textContent : control.textContent);
      const region = ["alert", "status"].includes(control.getAttribute("role") ?? "");
      return !named?.trim() && !region;
    })
    .map((control) => control.outerHTML.slice(0, 80));
}

/** Visible things to press that are less than 44 CSS pixels high or wide. */
export function smallTargets(): string[] {
  return [...document.querySelectorAll("button, input, select, textarea, summary")]
    .filter((target) => target.checkVisibility({ visibilityProperty: true }))
    .map((target) => ({ target, box: target.getBoundingClientRect() }))
    .filter(({ box }) => box.height < 43.9 || box.width < 43.9)
    .map(({ target, box }) => `${box.width} x ${box.height}: ${target.outerHTML.slice(0, 60)}`);
}

/** How much of the map's cell of layer 0 and that expert is painted, 0 to 1. */
export function filledShare(cell: { expert: number; experts: number; layers: number }): number {
  const canvas = document.querySelector("#map-canvas") as HTMLCanvasElement;
  const context = canvas.getContext("2d") as CanvasRenderingContext2D;
  const left = Math.round((cell.expert * canvas.width) / cell.experts);
  const right = Math.round(((cell.expert + 1) * canvas.width) / cell.experts);
  const gap = 1; // between cells
  const [wide, high] = [right - left - gap, canvas.height / cell.layers - gap];
  const { data } = context.getImageData(left, 0, wide, high);
  let painted = 0;
  for (let at = 3; at < data.length; at += 4) painted += (data[at] ?? 0) / 255;
  return painted / (wide * high);
}
