import { availableParallelism } from 'node:os';
import { Thread } from '../../io/thread.ts';
import type { Float16Histogram } from './histogram.ts';
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
 * Finds the palette of a tensor's numbers as `optimalPalette` does, in another thread; nobody may change the histogram meanwhile. A
 * palette that is `oneOfMany` of a weight goes to the thread that has the fewest; whole weights, which have the most numbers, all to one.
 */
export async function findPalette(
  histogram: Float16Histogram,
  { bits, storage, oneOfMany }: Omit<PaletteQuestion, 'counts'> & { readonly oneOfMany: boolean },
): Promise<Palette> {
  if (!histogram.hasMoreThan(FEW)) return optimalPalette(histogram.distinct(), bits, storage);
  const among = oneOfMany ? threads : threads.slice(0, 1);
  const thread = among.reduce((idlest, each) => (each.pending < idlest.pending ? each : idlest));
  return thread.ask({ counts: histogram.counts, bits, storage });
}
