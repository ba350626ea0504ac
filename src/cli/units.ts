const UNITS = ["B", "kB", "MB", "GB", "TB"] as const;

/** Bytes to read: `1.23 GB`, in powers of 1000 as budgets are. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  // Rounded first: 999,999 bytes are 1.00 MB.
  const rounded = Number(bytes.toPrecision(3));
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log10(rounded) / 3));
  const value = rounded / 1000 ** power;
  return `${value < 1000 ? value.toPrecision(3) : value} ${UNITS[power]}`;
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
