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
    psnrCell(psnr),
    published === undefined ? shown : `${shown}, published in ${published}`,
  ];
}

/** A PSNR in dB as a cell; an empty one where it was not measured. */
export function psnrCell(psnr: StepResult['psnr']): string {
  return psnr === undefined ? '' : String(psnr).replace('Infinity', '∞');
}
