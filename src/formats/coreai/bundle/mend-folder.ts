import type { Provenance } from '../../provenance.ts';
import { FEWER_BITS } from './check-assets.ts';
import { isRefused } from './folder-metadata.ts';

/** How convert mends a folder, beside the client's name and the options on record. */
export interface Mending {
  /** Options on record, by their names there, that are not to be taken again. */
  readonly without: readonly string[];
  /** Options of the command line beside the others. */
  readonly more: readonly string[];
}

/** How convert mends what Apple's pipelines would refuse in a folder; `undefined` where the checkpoint itself is so. */
export function mendCoreAi(problems: readonly string[], record: Provenance | undefined): Mending | undefined {
  const scheduler = record?.pipeline?.scheduler;
  if (problems.every((problem) => isOfScheduler.test(problem)) && scheduler && isRefused(scheduler))
    return undefined;
  const made = Object.values(record?.artifacts ?? {}).map(({ options }) => options);
  const isTooLarge = problems.some((problem) => problem.includes(FEWER_BITS));
  const isOblong = made.some(({ latentHeight, latentWidth }) => latentHeight !== latentWidth);
  const bits = made.some(({ quantization }) => quantization) ? '4' : '8';
  return {
    without: [
      'textTokens',
      ...(isOblong ? ['latentHeight', 'latentWidth'] : []),
      ...(isTooLarge ? ['quantization'] : []),
    ],
    more: isTooLarge ? ['--quantize-nbits', bits] : [],
  };
}

/** What is the checkpoint's own: it is converted alike again. */
const isOfScheduler = /^metadata\.json: diffusion\.(prediction_type|scheduler\.beta_schedule) is\b/;
