import type { ProgressEvent } from '../src/context.ts';

/**
 * A text for the terminal. Names come from files: what would steer the terminal, or turn the direction of reading, is
 * shown as its escape instead. Line breaks lay the text out.
 */
export function visible(text: string): string {
  return text.replace(
    /(?!\n)[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu,
    (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** The same for the texts of an event. */
export function visibleEvent(event: ProgressEvent): ProgressEvent {
  const texts = Object.entries(event).map(([key, value]) => [
    key,
    typeof value === 'string' ? visible(value) : value,
  ]);
  return Object.fromEntries(texts); // the same keys, and texts for texts
}
