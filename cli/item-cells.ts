import type { StepResult } from '../src/fleet/queue/run-step.ts';
import { type ItemVerdict, isBad } from '../src/fleet/verdict-words.ts';
import { formatBytes } from '../src/text.ts';

/** The headings of `resultCells`. */
export const resultHeading = ['size', 'dB', 'verdict'];

/** An item's result as cells of a table; empty ones for what is not known. */
export function resultCells({ bytes, psnr, verdict, published }: StepResult = {}): string[] {
  const shown = verdict === undefined ? '' : verdictCell(verdict);
  return [
    bytes === undefined ? '' : formatBytes(bytes),
    psnrCell(psnr),
    published === undefined ? shown : `${shown}, published in ${published}`,
  ];
}

/** PSNR in dB; empty where it was not measured. */
export function psnrCell(psnr: StepResult['psnr']): string {
  return psnr === undefined ? '' : String(psnr).replace('Infinity', '∞');
}

/** A verdict; one that asks for somebody stands out. */
export function verdictCell(verdict: ItemVerdict): string {
  return isBad(verdict) ? verdict.toUpperCase() : verdict;
}
