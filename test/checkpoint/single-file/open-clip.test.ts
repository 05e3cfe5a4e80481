import { expect, test } from 'vitest';
import { openClip } from '../../../src/checkpoint/single-file/open-clip.ts';
import { readTensor } from '../../../src/weights/tensor-data.ts';
import { memoryWeight, unreadWeight } from '../../support/memory-weight.ts';
import { recordedPlaces } from '../../support/single-file.ts';

function counted(name: string, shape: readonly [number, number?]) {
  const length = shape[0] * (shape[1] ?? 1);
  return memoryWeight(
    name,
    shape.filter((size) => size !== undefined),
    Float32Array.from({ length }, (_, at) => at),
  );
}

test('queries, keys and values are the rows of one tensor, in this order', async () => {
  const name = 'transformer.resblocks.3.attn.in_proj_weight';
  const parts = openClip('text_encoder_2')(name, counted(name, [6, 2])) ?? [];
  const layer = 'text_model.encoder.layers.3.self_attn';
  expect(parts.map((part) => [part.name, part.shape])).toEqual([
    [`${layer}.q_proj.weight`, [2, 2]],
    [`${layer}.k_proj.weight`, [2, 2]],
    [`${layer}.v_proj.weight`, [2, 2]],
  ]);
  const values = await Promise.all(parts.map((part) => readTensor(part, 'f32')));
  expect(values.map(({ data }) => [...data])).toEqual([
    [0, 1, 2, 3],
    [4, 5, 6, 7],
    [8, 9, 10, 11],
  ]);
});

test('so are their biases', async () => {
  const name = 'transformer.resblocks.0.attn.in_proj_bias';
  const parts = openClip('text_encoder')(name, counted(name, [6])) ?? [];
  const values = await Promise.all(parts.map((part) => readTensor(part, 'f32')));
  expect(values.map(({ shape, data }) => [shape, [...data]])).toEqual([
    [[2], [0, 1]],
    [[2], [2, 3]],
    [[2], [4, 5]],
  ]);
});

test('the projection multiplies from the other side', async () => {
  const [projection] =
    openClip('text_encoder_2')('text_projection', counted('text_projection', [2, 3])) ?? [];
  if (!projection) throw new Error('it was dropped');
  expect(projection).toMatchObject({ name: 'text_projection.weight', shape: [3, 2] });
  expect([...(await readTensor(projection, 'f32')).data]).toEqual([0, 3, 1, 4, 2, 5]);
});

test('Stable Diffusion 2.x leaves out the last layer and the projection', () => {
  const dropped = ['transformer.resblocks.23.ln_1.weight', 'text_projection'];
  for (const name of dropped) {
    expect(openClip('text_encoder')(name, counted(name, [3, 3]))).toEqual([]);
    expect(openClip('text_encoder_2')(name, counted(name, [3, 3]))).toHaveLength(1);
  }
});

test('diffusers takes the rows in the same order', () => {
  const prefix = 'conditioner.embedders.1.model.';
  const recorded = Object.entries(recordedPlaces('sdxl')).filter(([name]) => /\.in_proj_/.test(name));
  expect(recorded).toHaveLength(64);
  for (const [name, [shape, places]] of recorded) {
    const own = name.slice(prefix.length);
    const parts = openClip('text_encoder_2')(own, unreadWeight(own, shape)) ?? [];
    expect(parts.map((part) => `text_encoder_2/${part.name}`)).toEqual(places);
  }
});
