import { availableParallelism } from 'node:os';
import { Thread } from '../../io/thread.ts';
import type { DistinctNumbers } from './histogram.ts';
import { optimalPalette, type Palette } from './palette.ts';
import type { PaletteQuestion } from './palette-worker.ts';

/** Finding a palette for so few numbers takes less time than asking another thread. */
const FEW = 512;

/** A thread for each core, but no more than four: each takes 10 MB and more. */
const threads = Array.from(
  { length: Math.min(availableParallelism(), 4) },
  () => new Thread<PaletteQuestion, Palette>('palette-worker', import.meta.url),
);

/** So many palettes at a time keep all threads busy. */
export const MOST_SOUGHT = 2 * threads.length;

/**
 * Finds a palette as `optimalPalette` does, in another thread, which takes the arrays of `numbers` with it. A palette that is
 * `oneOfMany` of a weight goes to the thread that has the fewest; whole weights, which have the most numbers, all to one.
 */
export async function findPalette(
  numbers: DistinctNumbers,
  { bits, storage, oneOfMany }: Omit<PaletteQuestion, 'numbers'> & { readonly oneOfMany: boolean },
): Promise<Palette> {
  if (numbers.values.length <= FEW) return optimalPalette(numbers, bits, storage);
  const among = oneOfMany ? threads : threads.slice(0, 1);
  const thread = among.reduce((idlest, each) => (each.pending < idlest.pending ? each : idlest));
  // as: both were made with a buffer of their own (`slice`).
  const buffers = [numbers.values.buffer, numbers.counts.buffer] as ArrayBuffer[];
  return thread.ask({ numbers, bits, storage }, buffers);
}
