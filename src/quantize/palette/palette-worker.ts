import { parentPort } from 'node:worker_threads';
import type { DistinctNumbers } from './histogram.ts';
import { optimalPalette, type Palette, type PaletteBits, type PaletteStorage } from './palette.ts';

/** The palette that is wanted. */
export interface PaletteQuestion {
  readonly numbers: DistinctNumbers;
  readonly bits: PaletteBits;
  readonly storage: PaletteStorage;
}

/** Runs in its own thread: computes palettes. */
parentPort?.on('message', ({ numbers, bits, storage }: PaletteQuestion) => {
  const palette: Palette = optimalPalette(numbers, bits, storage);
  parentPort?.postMessage(palette);
});
