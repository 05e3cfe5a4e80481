import { expect, test } from 'vitest';
import { timestepEmbedding } from '../../../src/convert/blocks/time-embedding.ts';
import { buildOnnxModel } from '../../../src/formats/onnx/build-model.ts';
import { GraphBuilder } from '../../../src/graph/graph.ts';
import { withPrecision } from '../../../src/quantize/precision.ts';
import { runOnnx } from '../../support/run-onnx.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const inFolder = temporaryFolder();
const channels = 320;

test.each<[flip: boolean, shift: number]>([
  [true, 0], // Stable Diffusion
  [false, 0],
  [true, 1],
  [false, 1],
])(
  'with flip_sin_to_cos %s and freq_shift %i, every row has the sinusoids of its timestep',
  async (flip, shift) => {
    const timesteps = [0, 1, 501.25, 981];
    const found = await embedded(timesteps, [4], flip, shift);
    const expected = timesteps.flatMap((t) => formula(t, flip, shift));
    // A frequency and an angle of up to 981 are float32: together off by up to 6e-5. Measured: 4.5e-5 at most.
    expect(Math.max(...found.map((value, i) => Math.abs(value - (expected[i] ?? 0))))).toBeLessThan(7e-5);
  },
);

test('a timestep without dimensions gives one row', async () => {
  const [scalar, vector] = [await embedded([981], [], true, 0), await embedded([981], [1], true, 0)];
  expect(scalar).toHaveLength(channels);
  expect(scalar).toEqual(vector);
});

test('in float16 the angles are still float32: at step 981 float16 knows them to 14 degrees at best', async () => {
  const found = await embedded([981], [], true, 0, 'float16');
  const expected = formula(981, true, 0);
  // As above, and the result is rounded to float16: by up to 2^-12. Measured: 2.6e-4.
  expect(Math.max(...found.map((value, i) => Math.abs(value - (expected[i] ?? 0))))).toBeLessThan(3.2e-4);
});

/** [cos or sin](t·10000^(−i/(n−shift))) for i = 0 … n−1, then the other of the two. */
function formula(t: number, flip: boolean, shift: number): number[] {
  const half = channels / 2;
  const angles = Array.from({ length: half }, (_, i) => t * 10000 ** (-i / (half - shift)));
  const [cosines, sines] = [angles.map(Math.cos), angles.map(Math.sin)];
  return flip ? [...cosines, ...sines] : [...sines, ...cosines];
}

async function embedded(
  timesteps: readonly number[],
  shape: readonly number[],
  flip_sin_to_cos: boolean,
  freq_shift: number,
  precision: 'float32' | 'float16' = 'float32',
): Promise<number[]> {
  const builder = new GraphBuilder();
  const options = { channels, flip_sin_to_cos, freq_shift };
  const tensor = timestepEmbedding(builder.input('timestep', { dtype: 'f32', shape }), options);
  const graph = withPrecision(builder.finish([{ name: 'y', tensor }]), precision);
  const folder = inFolder([flip_sin_to_cos, freq_shift, shape, precision].join('-'));
  const timestep = { dtype: 'f32', shape, data: Float32Array.from(timesteps) } as const;
  const { y } = await runOnnx(buildOnnxModel(graph, {}), folder, { timestep });
  return Array.from(y?.data ?? [], Number);
}
