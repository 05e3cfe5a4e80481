import { z } from 'zod';
import { shortList } from '../../io/short-list.ts';

/**
 * Ranges of numbers that no weight's shape contradicts: outside of them a graph would be built, and compute something else
 * or nothing.
 */

/** Groups of a group normalisation, which divide the channels. */
export const groups = z.int({ error: 'a number of at least 1' }).min(1, { error: 'a number of at least 1' });

/** Lists of this length are allocated before any weight is looked up: a damaged number must not fill the memory. */
export const MOST_LAYERS = 1000;

/** Layers of a level. */
export const layers = z
  .int({ error: `a number from 1 to ${MOST_LAYERS}` })
  .min(1, { error: 'a number of at least 1' })
  .max(MOST_LAYERS, { error: `a number of at most ${MOST_LAYERS}` });

/** Every level halves the picture of the one before: with so many, nothing would be left of the largest. */
const MOST_LEVELS = 12;

/** Channels of each level. */
export const widths = perLevel(
  z.int({ error: 'a number of at least 1' }).min(1, { error: 'a number of at least 1' }),
);

/** A list with an item for each level. */
export function perLevel<Item extends z.ZodType>(item: Item, error?: string) {
  return shortList(item, {
    least: 1,
    most: MOST_LEVELS,
    of: 'levels',
    ...(error !== undefined && { error }),
  });
}

/** What a normalisation adds to a variance. */
export const epsilon = z
  .number()
  .gt(0, { error: 'a number above 0, at most 1' })
  .max(1, { error: 'a number above 0, at most 1' });

/** The number of a token, which runtimes keep in 32 bits. */
export const tokenId = z
  .int({ error: 'a number from 0 to 2147483647' })
  .min(0, { error: 'a number from 0 to 2147483647' })
  .max(2 ** 31 - 1, { error: 'a number from 0 to 2147483647' });

/** Latents are about as large as 1: by what is further from it than this, none are scaled or shifted. */
const LARGEST_SCALE = 1e6;
const most = LARGEST_SCALE.toLocaleString('en');

/** What latents are multiplied with. */
export const latentFactor = z
  .number({ error: `a number above 0, at most ${most}` })
  .gt(0, { error: `a number above 0, at most ${most}` })
  .max(LARGEST_SCALE, { error: `a number above 0, at most ${most}` });

/** What is added to latents. */
export const latentShift = z
  .number({ error: `a number from −${most} to ${most}` })
  .min(-LARGEST_SCALE, { error: `a number from −${most} to ${most}` })
  .max(LARGEST_SCALE, { error: `a number from −${most} to ${most}` });

interface LatentStatistics {
  readonly mean?: readonly number[] | undefined;
  readonly std?: readonly number[] | undefined;
}

/** Refines statistics of latents: a mean and a deviation of each channel, or neither, as diffusers takes them. */
export const bothStatistics: [(statistics: LatentStatistics) => boolean, { path: string[]; error: string }] =
  [({ mean, std }) => mean?.length === std?.length, { path: ['std'], error: 'as many numbers as mean has' }];

/** The largest height or width of latents, 8,192 pixels: no model is made for as many. */
export const LARGEST_LATENT_SIDE = 1024;

/** A height or width of latents. */
export const latentSide = z
  .int({ error: `a number from 1 to ${LARGEST_LATENT_SIDE}` })
  .min(1, { error: `a number from 1 to ${LARGEST_LATENT_SIDE}` })
  .max(LARGEST_LATENT_SIDE, { error: `a number from 1 to ${LARGEST_LATENT_SIDE}` });
