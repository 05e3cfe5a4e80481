import { parentPort } from 'node:worker_threads';
import { Float16Histogram } from './histogram.ts';
import { optimalPalette, type Palette, type PaletteBits, type PaletteStorage } from './palette.ts';

/** The palette that is wanted. */
export interface PaletteQuestion {
  /** Of a `Float16Histogram`. */
  readonly counts: Uint32Array<SharedArrayBuffer>;
  readonly bits: PaletteBits;
  readonly storage: PaletteStorage;
}

/** Runs in its own thread: computes palettes. */
parentPort?.on('message', ({ counts, bits, storage }: PaletteQuestion) => {
  const palette: Palette = optimalPalette(new Float16Histogram(counts).distinct(), bits, storage);
  parentPort?.postMessage(palette);
});
