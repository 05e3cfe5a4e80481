import type { ProgressEvent } from '../src/context.ts';
import { onOneLine, printable } from '../src/text.ts';

/**
 * Makes a text safe for the terminal. Names come from files, so characters that would control the terminal or change the
 * reading direction are shown as escapes; line breaks are kept.
 */
export function visible(text: string): string {
  return printable(text, Number.POSITIVE_INFINITY);
}

/** Makes all texts of an event safe for the terminal; each is one line of a bearable length. */
export function visibleEvent(event: ProgressEvent): ProgressEvent {
  const texts = Object.entries(event).map(([key, value]) => [
    key,
    typeof value === 'string' ? onOneLine(value) : value,
  ]);
  return Object.fromEntries(texts); // the same keys, and texts for texts
}
