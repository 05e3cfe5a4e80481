import { z } from 'zod';

interface Limits {
  readonly least?: number;
  readonly most: number;
  /** What the items are, in the plural. */
  readonly of?: string;
  /** What is expected in the place of what is no list. */
  readonly error?: string;
}

/**
 * A list of `least` to `most` items. One that is longer is refused before they are looked at: each that is wrong would cost an
 * error, and a file of 200 kB lists 100,000 of them.
 */
export function shortList<Item extends z.ZodType>(item: Item, { least = 0, most, of = '', error }: Limits) {
  const what = error === undefined ? {} : { error };
  const tooLong = { error: `a list of at most ${most.toLocaleString('en')}${of && ' '}${of}` };
  return z.array(z.unknown(), what).min(least).max(most, tooLong).pipe(z.array(item));
}
