/** Text of unknown origin in errors: it may be 100 MB long and hold anything. */

/** The beginning of a text. */
export function excerpt(text: string): string {
  return text.length <= 120 ? text : `${text.slice(0, 119)}…`;
}

/** A name in quotes, with unprintable characters escaped. */
export function quote(name: string): string {
  return excerpt(JSON.stringify(name.slice(0, 200)));
}

/** Deeper lists and objects are shown by their kind only. */
const DEEPEST_SHOWN = 2;
const MOST_SHOWN = 6;

/** Any value out of a file as text for a sentence, whatever its size, depth and content: `"text"`, `[1, 2, …]`, `{ a: null }`. */
export function shown(value: unknown, depth = 0): string {
  if (typeof value === 'string') return quote(value);
  if (typeof value !== 'object' || value === null) return excerpt(String(value));
  const isList = Array.isArray(value);
  const size = isList ? value.length : Object.keys(value).length;
  if (depth === DEEPEST_SHOWN && size > 0) return isList ? '[…]' : '{…}';
  const inside = Object.entries(value)
    .slice(0, MOST_SHOWN)
    .map(
      ([key, each]) =>
        (isList ? '' : `${/^\w+$/.test(key) ? excerpt(key) : quote(key)}: `) + shown(each, depth + 1),
    );
  if (size > MOST_SHOWN) inside.push('…');
  if (isList) return excerpt(`[${inside.join(', ')}]`);
  return size === 0 ? '{}' : excerpt(`{ ${inside.join(', ')} }`);
}

/** A value out of a file as a name in a sentence: a text as it is, anything else as `shown` writes it. */
export function asName(value: unknown): string {
  return typeof value === 'string' ? excerpt(value) : shown(value);
}

/** `1,234 bytes`. */
export function countBytes(bytes: number): string {
  return `${bytes.toLocaleString('en-US')} bytes`;
}

/** Names that are named in a sentence, of however many. */
const MOST_NAMED = 12;

/** The first of foreign names: `a, b, …`. */
export function firstOf(names: readonly string[]): string {
  const first = names.slice(0, MOST_NAMED).map(excerpt);
  return [...first, ...(names.length > MOST_NAMED ? ['…'] : [])].join(', ');
}
