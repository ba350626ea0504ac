/** Fills the track of a slider up to its thumb, and says in words where it stands. */
export function showSlider(slider: HTMLInputElement, text: string): void {
  const low = Number(slider.min);
  const filled = low < 100 ? (100 * (slider.valueAsNumber - low)) / (100 - low) : 100;
  slider.style.setProperty("--filled", `${filled}%`);
  slider.setAttribute("aria-valuetext", text);
}
