import type { LatentScale } from '../convert/networks/vae-variants.ts';
import { ShapeError } from '../errors.ts';
import type { TensorData } from '../weights/tensor-data.ts';

type Latents = TensorData<'f32'>;

/** Latents of a UNet [rows,C,h,w] → those that its VAE decodes. Throws `ShapeError` for statistics of other channels. */
export function latentsForVae(latents: Latents, scale: LatentScale): Latents {
  return eachChannel(latents, scale, (value, { factor, shift }) => value / factor + shift);
}

/** Latents that a VAE encoded [rows,C,h,w] → those that its UNet draws with. Throws `ShapeError` for statistics of other channels. */
export function latentsForUNet(latents: Latents, scale: LatentScale): Latents {
  return eachChannel(latents, scale, (value, { factor, shift }) => (value - shift) * factor);
}

/** Changes each element by the factor and the shift of its channel: factor / std and mean, where there are statistics. */
function eachChannel(
  latents: Latents,
  { factor, shift, mean, std }: LatentScale,
  change: (value: number, own: Pick<LatentScale, 'factor' | 'shift'>) => number,
): Latents {
  const [, channels = 1, height = 1, width = 1] = latents.shape;
  refuseOtherChannels({ mean, std }, channels);
  const own = Array.from({ length: channels }, (_, channel) => ({
    factor: factor / (std?.[channel] ?? 1),
    shift: mean?.[channel] ?? shift,
  }));
  const plane = height * width;
  const data = latents.data.map((value, i) =>
    change(value, own[Math.floor(i / plane) % channels] ?? { factor, shift }),
  );
  return { ...latents, data };
}

/** Throws `ShapeError` for statistics of another number of channels than latents have. */
export function refuseOtherChannels(
  { mean, std }: Pick<LatentScale, 'mean' | 'std'>,
  channels: number,
): void {
  const wrong = [mean, std].find((statistics) => statistics && statistics.length !== channels);
  if (wrong)
    throw new ShapeError({
      problem: 'The statistics of the VAE’s latents are of another number of channels.',
      details: { expected: `${channels} numbers`, found: `${wrong.length}` },
      advice: 'Correct latents_mean and latents_std in the config.json of the VAE.',
    });
}
