import { Thread } from '../../io/thread.ts';
import type { DistinctNumbers } from './histogram.ts';
import { optimalPalette, type Palette } from './palette.ts';
import type { PaletteQuestion } from './palette-worker.ts';

/** Finding a palette for so few numbers takes less time than asking another thread. */
const FEW = 512;

const thread = new Thread<PaletteQuestion, Palette>('./palette-worker', import.meta.url);

/** Finds a palette as `optimalPalette` does, in another thread, which takes the arrays of `numbers` with it. */
export async function findPalette(
  numbers: DistinctNumbers,
  { bits, storage }: Omit<PaletteQuestion, 'numbers'>,
): Promise<Palette> {
  if (numbers.values.length <= FEW) return optimalPalette(numbers, bits, storage);
  // as: both were made with a buffer of their own (`slice`).
  const buffers = [numbers.values.buffer, numbers.counts.buffer] as ArrayBuffer[];
  return thread.ask({ numbers, bits, storage }, buffers);
}
