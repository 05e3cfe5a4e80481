import type { Family } from '../family.ts';
import type { Prediction } from './prediction.ts';

/** The scheduler in `assets/schedulers` that fits a family's UNet by what it predicts. */
export function schedulerOf(family: Family, { type, zeroSnr, schedule }: Prediction): string {
  const isXl = family === 'sdxl' || family === 'sdxl-refiner';
  if (schedule) return schedule;
  if (type === 'epsilon') return isXl ? 'euler' : 'pndm';
  return `${isXl ? 'euler' : 'ddim'}-v${zeroSnr ? '-zsnr' : ''}`;
}
