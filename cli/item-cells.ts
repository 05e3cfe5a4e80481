import type { StepResult } from '../src/fleet/queue/run-step.ts';
import { formatBytes } from '../src/text.ts';

/** The headings of `resultCells`. */
export const resultHeading = ['size', 'dB', 'verdict'];

/** An item's result as cells of a table; empty ones for what is not known. */
export function resultCells({ bytes, psnr, verdict, published }: StepResult = {}): string[] {
  const isBad = verdict === 'below the floor';
  const shown = isBad ? verdict.toUpperCase() : (verdict ?? '');
  return [
    bytes === undefined ? '' : formatBytes(bytes),
    psnr === undefined ? '' : String(psnr).replace('Infinity', '∞'),
    published === undefined ? shown : `${shown}, published in ${published}`,
  ];
}
