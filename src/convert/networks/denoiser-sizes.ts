import type { Checkpoint } from '../../checkpoint/checkpoint.ts';
import { RequestError } from '../../errors.ts';
import { LARGEST_LATENT_SIDE } from '../config/number-ranges.ts';
import { unetConfig } from '../config/unet-config.ts';
import type { Sizes } from '../contracts/contract.ts';
import type { BuildOptions } from './card.ts';
import { PIXELS } from './latents.ts';

/** More tokens than any prompt has: attention to them is a matrix of that width. */
const MOST_TOKENS = 2 ** 16;

/** Size of the latents that the checkpoint was trained on; only the UNet's config has it. */
export function ownSizes({ components }: Checkpoint): Sizes {
  const unet = components.get('unet');
  if (!unet) return {};
  const [latentHeight, latentWidth] = unetConfig(unet).sample_size;
  return { latentHeight, latentWidth };
}

/**
 * Checks the sizes for a network that halves its latents between levels. SPLIT_EINSUM_V2 needs fixed sizes, since it
 * cuts the queries into chunks: sizes that the user left out are then `own`. Throws `RequestError`.
 */
export function denoiserSizes(
  what: string,
  { block_out_channels: levels }: { readonly block_out_channels: readonly number[] },
  { sizes, attention }: BuildOptions,
  own: Sizes,
): Sizes {
  const known = attention === 'SPLIT_EINSUM_V2' ? { ...own, ...sizes } : sizes;
  if (
    attention === 'SPLIT_EINSUM_V2' &&
    (known.latentHeight === undefined || known.latentWidth === undefined)
  )
    throw sizeUnknown(what);
  checkLatentSizes(what, known, 2 ** (levels.length - 1));
  const { textTokens = 1 } = known;
  if (textTokens > MOST_TOKENS)
    throw new RequestError({
      problem: `${textTokens} text tokens are too many: the maximum is ${MOST_TOKENS}.`,
      advice: 'Give a smaller --text-token-sequence-length.',
    });
  return known;
}

function checkLatentSizes(what: string, sizes: Sizes, multiple: number): void {
  for (const [side, size] of [
    ['height', sizes.latentHeight],
    ['width', sizes.latentWidth],
  ] as const) {
    if (size !== undefined && size > LARGEST_LATENT_SIDE) throw tooLarge(side, size);
    if (size === undefined || (Number.isInteger(size) && size > 0 && size % multiple === 0)) continue;
    const nearest = Math.max(1, Math.round(size / multiple)) * multiple;
    throw new RequestError({
      problem: `a latent ${side} of ${size} does not suit this ${what}: it halves it ${Math.log2(multiple)} times, so it must be a multiple of ${multiple}.`,
      details: { [`latent ${side}`]: `${size} (a picture ${side} of ${size * PIXELS} pixels)` },
      advice: `Take ${nearest} (${nearest * PIXELS} pixels).`,
    });
  }
}

function tooLarge(side: string, size: number): RequestError {
  return new RequestError({
    problem: `a latent ${side} of ${size} is too large: the maximum is ${LARGEST_LATENT_SIDE} (${LARGEST_LATENT_SIDE * PIXELS} pixels).`,
    advice: `Give a smaller --latent-${side === 'height' ? 'h' : 'w'}.`,
  });
}

function sizeUnknown(what: string): RequestError {
  return new RequestError({
    problem: `the size of the latents is unknown, and with the attention SPLIT_EINSUM_V2 a ${what} needs a fixed size.`,
    advice:
      'Convert it together with its UNet, whose config has the size, give --latent-h and --latent-w, or choose another attention.',
  });
}
