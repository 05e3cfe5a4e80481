import { expect, test } from 'vitest';
import type { Runner } from '../../../src/formats/runner.ts';
import { controlResiduals } from '../../../src/generate/pipelines/control-residuals.ts';
import type { TensorData } from '../../../src/weights/tensor-data.ts';

const image: TensorData<'f32'> = { dtype: 'f32', shape: [1, 3, 8, 8], data: new Float32Array(192) };
const feeds = new Map([['sample', { ...image, shape: [2, 4, 1, 1], data: new Float32Array(8) }]]);

test('scaled residuals are added up, in the steps that lie between start and end', async () => {
  const [one, other] = [fake([1, 2]), fake([10, 20])];
  const residuals = controlResiduals(
    [
      { network: one.network, image, scale: 0.5, start: 0, end: 0.5 },
      { network: other.network, image, scale: 1, start: 0.5, end: 1 },
    ],
    4,
  );
  const steps = [];
  for (const step of [0, 1, 2, 3]) steps.push(valuesOf(await residuals(feeds, step)));
  expect(steps).toEqual([
    [0.5, 1],
    [0.5, 1],
    [10, 20],
    [10, 20],
  ]);
  expect([one.runs, other.runs]).toEqual([2, 2]);
});

test('a ControlNet runs before it applies only to tell the shapes, once', async () => {
  const late = fake([1, 2]);
  const residuals = controlResiduals([{ network: late.network, image, scale: 1, start: 0.75, end: 1 }], 4);
  for (const step of [0, 1, 2]) expect(valuesOf(await residuals(feeds, step))).toEqual([0, 0]);
  expect(late.runs).toBe(1);
  expect(valuesOf(await residuals(feeds, 3))).toEqual([1, 2]);
});

test('it sees its picture in as many rows as the UNet has', async () => {
  const net = fake([1]);
  await controlResiduals([{ network: net.network, image, scale: 1, start: 0, end: 1 }], 1)(feeds, 0);
  expect(net.shapes).toEqual([[2, 3, 8, 8]]);
});

/** A ControlNet with a residual of one element for each value. */
function fake(values: readonly number[]) {
  const seen = { runs: 0, shapes: [] as (readonly number[])[] };
  const network: Runner = {
    path: 'fake',
    inputs: [],
    outputs: values.map((_, i) => ({ name: `out_${i}`, dtype: 'f32', dims: [1] })),
    async run(given) {
      seen.runs++;
      seen.shapes.push(given.get('controlnet_cond')?.shape ?? []);
      return new Map(
        values.map((value, i) => [`out_${i}`, { dtype: 'f32', shape: [1], data: Float32Array.of(value) }]),
      );
    },
    async close() {},
  };
  return Object.assign(seen, { network });
}

function valuesOf(residuals: ReadonlyMap<string, TensorData>): number[] {
  return [...residuals.values()].map(({ data }) => Number(data[0]));
}
