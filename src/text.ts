import { distance } from 'fastest-levenshtein';

/** Numbers and foreign text as people read them in progress lines, results and errors. */

/** `1 graph`, `1,630 tensors`. */
export function count(n: number, what: string): string {
  return `${n.toLocaleString('en')} ${what}${n === 1 ? '' : 's'}`;
}

/** `512 B`, `98.7 kB`, `5.3 MB`, `1.72 GB`; units are decimal. */
export function formatBytes(bytes: number): string {
  if (bytes < 1e3) return `${bytes} B`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

/** `20 seconds`, `12 minutes`, `3 hours`. */
export function aboutTime(seconds: number): string {
  const [amount, unit] =
    seconds < 90 ? [seconds, 'second'] : seconds < 5400 ? [seconds / 60, 'minute'] : [seconds / 3600, 'hour'];
  return count(Math.max(1, Math.round(amount)), unit);
}

/** Rows as lines with aligned columns; cells that are numbers stand on the right of theirs, and long ones lose their middle. */
export function alignColumns(given: readonly (readonly string[])[]): string {
  const rows = given.map((row) => row.map((cell) => onOneLine(cell)));
  // Not Math.max of all: records and models may list more than a call takes arguments.
  const longest = (lengths: readonly number[]) => lengths.reduce((most, each) => Math.max(most, each), 0);
  const columns = longest(rows.map((row) => row.length));
  const cells = Array.from({ length: columns }, (_, at) => rows.map((row) => row[at] ?? ''));
  // What is alone in its row is a remark: it widens no column.
  const widths = cells.map((column) =>
    longest(column.map((cell, at) => (rows[at]?.length === 1 ? 0 : cell.length))),
  );
  const isNumeric = cells.map((column) => column.slice(1).every((cell) => /^[-+]?[\d∞]|^$/.test(cell)));
  return rows
    .map((row) =>
      row
        .map((cell, at) => (isNumeric[at] ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Longest text of a single part of an error or line: a path and a sentence. */
const LONGEST = 1500;

/**
 * Text of any origin for people: what would steer a terminal, turn the direction of writing or be invisible is shown as an
 * escape, and what is too long loses its middle. Line breaks and tabs lay text out and stay.
 */
export function printable(text: string, most = LONGEST): string {
  const visible = shortened(text, most).replaceAll(/(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu, (hidden) =>
    hidden.split('').map(escaped).join(''),
  );
  return shortened(visible, most); // an escape is longer than what it stands for
}

/** The same on one line: with breaks of its own, a name could pass for a sentence of sdconvert's. */
export function onOneLine(text: string, most = LONGEST): string {
  return printable(text, most).replaceAll(/[\n\t]+/g, ' ');
}

function shortened(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 200)} … ${text.slice(-190)}`;
}

/** As JavaScript and JSON write it. */
function escaped(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** Finds the closest name, in any case, if at most a third of the word's letters differ. */
export function nearestOf(word: string, names: readonly string[]): string | undefined {
  const wanted = word.toLowerCase();
  const [nearest] = names
    .map((name) => ({ name, far: distance(wanted, name.toLowerCase()) }))
    .filter(({ name, far }) => name.length > 1 && far <= Math.max(1, Math.floor(word.length / 3)))
    .sort((a, b) => a.far - b.far);
  return nearest?.name;
}

/** What an advice begins with where a word is nearly one of the names: `Did you mean coreai? `; else nothing. */
export function didYouMean(word: string, names: readonly string[]): string {
  const nearest = nearestOf(word, names);
  return nearest === undefined ? '' : `Did you mean ${nearest}? `;
}

/** The value of an option in a sentence: `bits 4` for `{"bits":4}`. */
export function inWords(value: unknown): string {
  if (value === undefined) return 'not set';
  if (Array.isArray(value)) return value.map(inWords).join(', ');
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return Object.entries(value)
    .map(([key, each]) => `${key} ${inWords(each)}`)
    .join(', ');
}

/** Plain data with each of its texts changed. */
export function mapTexts<T>(value: T, change: (text: string) => string): T {
  if (typeof value === 'string') return change(value) as T; // as: a text for a text
  if (Array.isArray(value)) return value.map((each) => mapTexts(each, change)) as T; // as: likewise
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, each]) => [key, mapTexts(each, change)]);
  return Object.fromEntries(entries) as T; // as: likewise
}
