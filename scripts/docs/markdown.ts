/** Pieces of Markdown. */

/** A table; the first row is its heading. Columns are filled up, so that the file reads as it is. */
export function table(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map((cell) => cell.replaceAll('|', '\\|')));
  const [heading = [], ...body] = cells;
  const widths = heading.map((_, at) => Math.max(3, ...cells.map((row) => row[at]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `| ${widths.map((width, at) => (row[at] ?? '').padEnd(width)).join(' | ')} |`;
  return [line(heading), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...body.map(line)]
    .join('\n')
    .concat('\n');
}

export function list(items: readonly string[]): string {
  return `${items.map((item) => `- ${item}`).join('\n')}\n`;
}

/** Names as code: `a`, `b`. */
export function code(names: Iterable<string>): string {
  return [...names].map((name) => `\`${name}\``).join(', ');
}

/** Sentences below a table, to which its cells refer by number. */
export class Notes {
  readonly #sentences: string[] = [];

  /** The number of a sentence; the same for the same sentence. */
  number(sentence: string): number {
    if (!this.#sentences.includes(sentence)) this.#sentences.push(sentence);
    return this.#sentences.indexOf(sentence) + 1;
  }

  /** The same in brackets, as a cell has it. */
  refer(sentence: string): string {
    return `(${this.number(sentence)})`;
  }

  toString(): string {
    return this.#sentences.map((sentence, at) => `${at + 1}. ${sentence}\n`).join('');
  }
}
