const UNITS = ["B", "kB", "MB", "GB", "TB"] as const;

/** Bytes to read: `1.23 GB`, in powers of 1000 as budgets are. */
export function formatBytes(bytes: number): string {
  const power = bytes < 1000 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** power;
  return `${power === 0 ? value : value.toPrecision(3)} ${UNITS[power]}`;
}

/** A count to read: `4.3 billion`. */
export function formatCount(count: number): string {
  if (count < 1e6) return String(count);
  return count < 1e9
    ? `${(count / 1e6).toPrecision(3)} million`
    : `${(count / 1e9).toPrecision(3)} billion`;
}

/** `rows` as columns that line up, numbers to the right; the first row is the head. */
export function formatTable(rows: readonly (readonly (string | number)[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => String(row[column] ?? "").length)),
  );
  const line = (row: readonly (string | number)[]) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return typeof cell === "number" ? String(cell).padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd();
  return rows.map(line).join("\n");
}
