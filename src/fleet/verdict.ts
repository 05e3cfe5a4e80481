import { asDecibels, type Decibels, type Quality } from './finished.ts';
import type { Item } from './item.ts';
import type { ItemVerdict } from './verdict-words.ts';

/** The lowest PSNR in dB of all models; `undefined` where none was measured. */
export function lowest(quality: Quality | undefined): Decibels | undefined {
  const numbers = Object.values(quality?.psnr ?? {}).map(Number); // of the text Infinity, too
  return numbers.length === 0
    ? undefined
    : asDecibels(numbers.reduce((least, each) => Math.min(least, each)));
}

/** Whether an item's models are as near to its reference as its floor asks. */
export function verdictOf({ floor }: Pick<Item, 'floor'>, quality: Quality | undefined): ItemVerdict {
  return verdictAt(floor, lowest(quality));
}

/** Whether the lowest PSNR of an item's models reaches a floor; both in dB. */
export function verdictAt(floor: number | undefined, psnr: Decibels | undefined): ItemVerdict {
  if (floor === undefined) return 'not checked';
  return psnr !== undefined && Number(psnr) >= floor ? 'pass' : 'below the floor';
}
