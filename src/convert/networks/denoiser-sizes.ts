import type { Checkpoint } from '../../checkpoint/checkpoint.ts';
import { RequestError } from '../../errors.ts';
import { unetConfig } from '../config/unet-config.ts';
import type { Sizes } from '../contracts/contract.ts';
import type { BuildOptions } from './card.ts';

/** The largest side of latents, 65,536 pixels: well below where a shape no longer fits Core ML's int32. */
const LARGEST_SIDE = 8192;

/** The size of latents that the checkpoint was made for: only a UNet says. */
export function ownSizes({ components }: Checkpoint): Sizes {
  const unet = components.get('unet');
  if (!unet) return {};
  const [latentHeight, latentWidth] = unetConfig(unet).sample_size;
  return { latentHeight, latentWidth };
}

/** Sizes that suit a network that halves its latents once a level; fixed where attention in chunks of queries has to know how many there are. */
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
  return known;
}

function checkLatentSizes(what: string, sizes: Sizes, multiple: number): void {
  for (const [side, size] of [
    ['height', sizes.latentHeight],
    ['width', sizes.latentWidth],
  ] as const) {
    if (size !== undefined && size > LARGEST_SIDE) throw tooLarge(side, size);
    if (size === undefined || (Number.isInteger(size) && size > 0 && size % multiple === 0)) continue;
    const nearest = Math.max(1, Math.round(size / multiple)) * multiple;
    throw new RequestError({
      problem: `a latent ${side} of ${size} does not suit this ${what}: it halves it ${Math.log2(multiple)} times, so it must be a multiple of ${multiple}.`,
      details: { [`latent ${side}`]: `${size} (a picture ${side} of ${size * 8} pixels)` },
      advice: `Take ${nearest} (${nearest * 8} pixels).`,
    });
  }
}

function tooLarge(side: string, size: number): RequestError {
  return new RequestError({
    problem: `a latent ${side} of ${size} is too large: ${LARGEST_SIDE} (${LARGEST_SIDE * 8} pixels) is the most.`,
    advice: `Give a smaller --latent-${side === 'height' ? 'h' : 'w'}; if it was not given, sample_size in the config of the UNet is damaged.`,
  });
}

function sizeUnknown(what: string): RequestError {
  return new RequestError({
    problem: `the size of the latents is not known: in the attention SPLIT_EINSUM_V2 a ${what} has a fixed size.`,
    advice:
      'Convert it together with its UNet, whose config says the size, give --latent-h and --latent-w, or take another attention.',
  });
}
