/** Rows as aligned columns; the first row is the heading. Columns of numbers (in all rows but the first) are aligned to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const columns = rows[0]?.length ?? 0;
  const widths = Array.from({ length: columns }, (_, at) =>
    Math.max(...rows.map((row) => row[at]?.length ?? 0)),
  );
  const numeric = widths.map((_, at) =>
    rows.slice(1).every((row) => /^[-+]?[\d.,]|^$|^∞/.test(row[at] ?? '')),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, at) => (numeric[at] ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0)))
      .join('  ')
      .trimEnd();
  return rows.map(line).join('\n');
}
