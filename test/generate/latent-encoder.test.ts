import { expect, test } from 'vitest';
import type { Runner } from '../../src/formats/runner.ts';
import { latentEncoder } from '../../src/generate/latent-encoder.ts';
import type { TensorData } from '../../src/weights/tensor-data.ts';

const data = Float32Array.from({ length: 4 }, (_, i) => i);
const pixels = { dtype: 'f32', shape: [1, 3, 8, 8], data: new Float32Array(192) } as const;

/** An encoder that gives one tensor for one latent of each channel. */
function encoder(name: string, output: TensorData): Runner {
  return {
    path: 'vae_encoder',
    inputs: [{ name: 'sample', dtype: 'f32', dims: [1, 3, 8, 8] }],
    outputs: [{ name, dtype: 'f32', dims: output.shape }],
    run: async () => new Map([[name, output]]),
    close: async () => {},
  };
}

test('the mean that encoders of some clients give is the latents, as it is of parameters', async () => {
  const options = { factor: 2, shift: 1, channels: 4, normal: (count: number) => new Float32Array(count) };
  const mean = { dtype: 'f32', shape: [1, 4, 1, 1], data } as const;
  const parameters = {
    dtype: 'f32',
    shape: [1, 8, 1, 1],
    data: Float32Array.from([...data, 0, 0, 0, 0]),
  } as const;
  const sample = latentEncoder(encoder('latent_sample', mean), options);
  const usual = latentEncoder(encoder('latent_parameters', parameters), options);
  expect(await sample.mode(pixels)).toEqual(await usual.mode(pixels));
  expect((await sample.sampled(pixels)).data).toEqual(Float32Array.of(-2, 0, 2, 4));
});
