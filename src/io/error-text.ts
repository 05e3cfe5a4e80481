/** Text of unknown origin in errors: it may be 100 MB long and hold anything. */

/** The beginning of a text. */
export function excerpt(text: string): string {
  return text.length <= 120 ? text : `${text.slice(0, 119)}…`;
}

/** A name in quotes, with unprintable characters escaped. */
export function quote(name: string): string {
  return excerpt(JSON.stringify(name.slice(0, 200)));
}

/** `1,234 bytes`. */
export function countBytes(bytes: number): string {
  return `${bytes.toLocaleString('en-US')} bytes`;
}
