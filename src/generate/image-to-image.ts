import type { LatentScale } from '../convert/networks/vae-variants.ts';
import { ShapeError } from '../errors.ts';
import type { Runner } from '../formats/runner.ts';
import type { TensorData } from '../weights/tensor-data.ts';
import type { Image } from './image.ts';
import { tensorFromImage } from './image-tensor.ts';
import { float32 } from './text-to-image.ts';

/**
 * Encodes a picture into the UNet's latents [1,C,h,w], sampled from the VAE's posterior with noise from `normal`. An
 * encoder that outputs latents directly (AutoencoderTiny) needs no noise. Throws what running the encoder throws.
 */
export async function encodeImage(
  vaeEncoder: Runner,
  image: Image,
  { factor, shift }: LatentScale,
  { channels, normal }: { readonly channels: number; readonly normal: (count: number) => Float32Array },
): Promise<TensorData<'f32'>> {
  const { width, height } = image;
  const sample = { dtype: 'f32', shape: [1, 3, height, width], data: tensorFromImage(image) } as const;
  const encoded = float32(
    await vaeEncoder.run(new Map([['sample', sample]])),
    'latent_parameters',
    vaeEncoder,
  );
  const latents = encoded.shape[1] === channels ? encoded : sampleLatents(encoded, normal);
  return { ...latents, data: latents.data.map((value) => (value - shift) * factor) };
}

/** Range that diffusers clamps the log-variance to. */
const [LEAST, MOST] = [-30, 20];

/** Samples [1,C,h,w] from means and log-variances [1,2C,h,w]. Throws `ShapeError` for an odd number of channels. */
function sampleLatents(
  { shape, data }: TensorData<'f32'>,
  normal: (count: number) => Float32Array,
): TensorData<'f32'> {
  const [rows = 1, both = 0, height = 0, width = 0] = shape;
  const count = (both / 2) * height * width;
  if (rows !== 1 || both % 2 !== 0)
    throw new ShapeError({
      problem: 'The VAE encoder does not give means and variances.',
      details: { expected: 'one row of an even number of channels', found: shape.join(' × ') },
    });
  const noise = normal(count);
  const sampled = Float32Array.from({ length: count }, (_, i) => {
    const variance = Math.min(Math.max(data[count + i] ?? 0, LEAST), MOST);
    return (data[i] ?? 0) + Math.exp(variance / 2) * (noise[i] ?? 0);
  });
  return { dtype: 'f32', shape: [1, both / 2, height, width], data: sampled };
}
