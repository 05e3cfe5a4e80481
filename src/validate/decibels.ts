import { z } from 'zod';

/** A PSNR in dB as JSON has it: JSON has no infinities, so the PSNR of identical tensors is the text "Infinity". */
export const decibels = z.union([z.number(), z.literal(['Infinity', '-Infinity', 'NaN'])]);

export type Decibels = z.output<typeof decibels>;

/** A PSNR in dB for JSON. */
export function asDecibels(value: number): Decibels {
  if (Number.isFinite(value)) return value;
  return Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity';
}

/** `47.9 dB`, or in words what no number says. */
export function decibelText(value: Decibels): string {
  const number = Number(value);
  if (Number.isFinite(number)) return `${number.toFixed(1)} dB`;
  if (Number.isNaN(number)) return 'not a number';
  return number > 0 ? 'identical' : '-∞ dB'; // the reference is zero everywhere
}
