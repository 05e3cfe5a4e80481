import { expect, test } from 'vitest';
import type { Runner, TensorMap } from '../../src/formats/runner.ts';
import { withAnyRows } from '../../src/run/any-rows.ts';
import type { TensorData } from '../../src/weights/tensor-data.ts';

test.each([
  ['a model for one row runs once for each', 1, [[1], [2], [3]]],
  [
    'the last row fills up the last pass of a model for two',
    2,
    [
      [1, 2],
      [3, 3],
    ],
  ],
  ['a model for more rows runs once', 4, [[1, 2, 3, 3]]],
  ['a model for any number runs once, on what there is', 'batch', [[1, 2, 3]]],
])('%s', async (_, batch, passes) => {
  const seen: number[][] = [];
  const model = withAnyRows(doubler(batch, seen));
  const outputs = await model.run(new Map([['sample', column(1, 2, 3)]]));
  expect(seen).toEqual(passes);
  expect(outputs.get('noise_pred')).toEqual(column(2, 4, 6));
});

test('a scalar is for all rows of a model that takes one for each', async () => {
  const timesteps: number[][] = [];
  const model = withAnyRows({
    ...doubler(2, []),
    inputs: [
      { name: 'sample', dtype: 'f32', dims: [2, 1] },
      { name: 'timestep', dtype: 'f32', dims: [2] },
    ],
    async run(feeds) {
      timesteps.push([...valuesOf(feeds, 'timestep')]);
      return new Map();
    },
  });
  const timestep = { dtype: 'f32', shape: [], data: Float32Array.of(7) } as const;
  await model.run(
    new Map<string, TensorData>([
      ['sample', column(1, 2, 3)],
      ['timestep', timestep],
    ]),
  );
  expect(timesteps).toEqual([
    [7, 7],
    [7, 7],
  ]);
});

/** Gives twice what it is fed, and notes the rows of each run. */
function doubler(batch: number | string, seen: number[][]): Runner {
  return {
    path: 'doubler',
    inputs: [{ name: 'sample', dtype: 'f32', dims: [batch, 1] }],
    outputs: [{ name: 'noise_pred', dtype: 'f32', dims: [batch, 1] }],
    async run(feeds) {
      const values = [...valuesOf(feeds, 'sample')];
      seen.push(values);
      return new Map([['noise_pred', column(...values.map((value) => 2 * value))]]);
    },
    async close() {},
  };
}

function column(...values: number[]): TensorData<'f32'> {
  return { dtype: 'f32', shape: [values.length, 1], data: Float32Array.from(values) };
}

function valuesOf(feeds: TensorMap, name: string): Iterable<number> {
  const tensor = feeds.get(name);
  return tensor?.dtype === 'f32' ? tensor.data : [];
}
