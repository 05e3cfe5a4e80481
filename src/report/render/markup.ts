import { printable } from '../../text.ts';

/** Text that is markup already, and is inserted as it is. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** What can be inserted: texts and numbers are escaped, nothing is left out for `undefined`, `null` and `false`. */
export type Inserted = string | number | Markup | undefined | null | false | readonly Inserted[];

/**
 * Markup from a template. All that is inserted is escaped unless it is markup itself, so that what comes from a file – names of
 * weights, metadata, prompts – can only ever be text.
 *
 * @example html`<b>${'<i>'}</b>`.text // '<b>&lt;i&gt;</b>'
 */
export function html(parts: TemplateStringsArray, ...values: readonly Inserted[]): Markup {
  return new Markup(
    parts.map((part, at) => part + (at < values.length ? inserted(values[at]) : '')).join(''),
  );
}

function inserted(value: Inserted): string {
  if (value instanceof Markup) return value.text;
  if (value === undefined || value === null || value === false) return '';
  if (typeof value === 'string' || typeof value === 'number') return escapeMarkup(printable(String(value)));
  return value.map(inserted).join('');
}

/** Text as it stands in HTML and SVG, within and outside of quotes. */
function escapeMarkup(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

/** A link to a page; the text alone where the address, which may be anybody's, is of no page. */
export function link(address: string | null, text: Inserted): Inserted {
  return address?.startsWith('https://') ? html`<a href="${address}">${text}</a>` : text;
}
