import { html, type Inserted, type Markup } from './markup.ts';

/** A column: its heading, and whether it holds numbers, which stand on the right. */
export type Column = string | { readonly number: string };

/** A table that scrolls by itself where it is wider than the page; the first cell of a row names it. */
export function table(
  caption: string,
  columns: readonly Column[],
  rows: readonly (readonly Inserted[])[],
): Markup {
  const isNumber = (index: number) => typeof columns[index] === 'object';
  const heading = (column: Column) =>
    typeof column === 'string'
      ? html`<th scope="col">${column}</th>`
      : html`<th scope="col" class="number">${column.number}</th>`;
  const cell = (value: Inserted, index: number) => {
    if (index === 0) return html`<th scope="row">${value}</th>`;
    return isNumber(index) ? html`<td class="number">${value}</td>` : html`<td>${value}</td>`;
  };
  const body = rows.map((row) => html`<tr>${row.map(cell)}</tr>\n`);
  return html`<div class="scroll" role="region" aria-label="${caption}" tabindex="0"><table>
<caption>${caption}</caption>
<thead><tr>${columns.map(heading)}</tr></thead>
<tbody>
${body}</tbody></table></div>
`;
}

/** Terms and what they mean here; those without a meaning are left out. */
export function facts(rows: readonly (readonly [term: string, fact: Inserted])[]): Markup {
  const known = rows.filter(
    ([, fact]) => fact !== null && fact !== undefined && fact !== false && fact !== '',
  );
  return html`<dl>${known.map(([term, fact]) => html`<dt>${term}</dt><dd>${fact}</dd>\n`)}</dl>`;
}

/** A section of the page. */
export interface Section {
  readonly id: string;
  readonly title: string;
  readonly body: Markup;
}

/** A chart in a region that scrolls where it is wider than the page. `svg` is drawn by `draw-charts.ts`. */
export function chart(label: string, svg: Markup): Markup {
  return html`<div class="scroll chart" role="region" aria-label="${label}" tabindex="0">${svg}</div>`;
}

/** A command to copy. */
export function commandLine(command: string): Markup {
  return html`<pre><code>${command}</code></pre>`;
}
