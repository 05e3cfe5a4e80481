import type { LatentScale } from '../convert/networks/vae-variants.ts';
import { ShapeError } from '../errors.ts';
import type { Runner } from '../formats/runner.ts';
import { checkArguments, object } from '../io/check-call.ts';
import type { TensorData } from '../weights/tensor-data.ts';
import { runner } from './call-schemas.ts';
import type { LatentEncoder } from './pipelines/beginning.ts';
import { runInTiles, type TileSizes } from './run-in-tiles.ts';
import { float32 } from './run-networks.ts';
import { latentsForUNet } from './scale-latents.ts';

/** How latents follow from a VAE encoder's output. */
export interface EncoderOptions extends LatentScale {
  /** Channels of the UNet's latents. An encoder that outputs as many (AutoencoderTiny, the form of some clients) outputs latents directly. */
  readonly channels: number;
  /** Tiles that it runs on; the whole picture when left out. */
  readonly tiles?: TileSizes | undefined;
  /** Draws standard normal noise. */
  readonly normal: (count: number) => Float32Array;
}

/** Wraps a VAE encoder for pipelines. The functions throw what running the encoder throws. */
export function latentEncoder(vaeEncoder: Runner, options: EncoderOptions): LatentEncoder {
  checkArguments('latentEncoder', { vaeEncoder: [vaeEncoder, runner], options: [options, object] });
  const { channels, normal, tiles } = options;
  const run = async (sample: TensorData<'f32'>) => {
    const outputs = await vaeEncoder.run(new Map([['sample', sample]]));
    // Some clients are given the mean itself.
    const name = outputs.has('latent_sample') ? 'latent_sample' : 'latent_parameters';
    return float32(outputs, name, vaeEncoder);
  };
  const encode = (sample: TensorData<'f32'>) => (tiles ? runInTiles(sample, tiles, run) : run(sample));
  return {
    async sampled(pixels) {
      const encoded = await encode(pixels);
      const latents = encoded.shape[1] === channels ? encoded : sampleLatents(encoded, normal);
      return latentsForUNet(latents, options);
    },
    async mode(pixels) {
      const encoded = await encode(pixels);
      return encoded.shape[1] === channels ? encoded : split(encoded).means;
    },
  };
}

/** Range that diffusers clamps the log-variance to. */
const [LEAST, MOST] = [-30, 20];

/** Samples [1,C,h,w] from means and log-variances [1,2C,h,w]. */
function sampleLatents(encoded: TensorData<'f32'>, normal: EncoderOptions['normal']): TensorData<'f32'> {
  const { means, variances } = split(encoded);
  const noise = normal(means.data.length);
  const data = means.data.map((mean, i) => {
    const variance = Math.min(Math.max(variances[i] ?? 0, LEAST), MOST);
    return mean + Math.exp(variance / 2) * (noise[i] ?? 0);
  });
  return { ...means, data };
}

/** Splits [1,2C,h,w] into means and log-variances. Throws `ShapeError` for an odd number of channels. */
function split({ shape, data }: TensorData<'f32'>) {
  const [rows = 1, both = 0, ...size] = shape;
  if (rows !== 1 || both % 2 !== 0)
    throw new ShapeError({
      problem: 'The VAE encoder does not give means and variances.',
      details: { expected: 'one row of an even number of channels', found: shape.join(' × ') },
    });
  const count = data.length / 2;
  const means = { dtype: 'f32', shape: [1, both / 2, ...size], data: data.slice(0, count) } as const;
  return { means, variances: data.subarray(count) };
}
