import type { Family } from '../family.ts';
import type { Prediction } from './prediction.ts';

/** Name of the scheduler in `assets/schedulers` for a family's UNet and its prediction. */
export function schedulerOf(family: Family, { type, zeroSnr, schedule }: Prediction): string {
  const isXl = family === 'sdxl' || family === 'sdxl-refiner';
  if (schedule) return schedule;
  if (type === 'epsilon') return isXl ? 'euler' : 'pndm';
  return `${isXl ? 'euler' : 'ddim'}-v${zeroSnr ? '-zsnr' : ''}`;
}
