import { expect, test } from 'vitest';
import { rmsNorm } from '../../src/graph/layers.ts';
import { formatShape, type Shape } from '../../src/graph/shape.ts';
import { headerScope } from '../support/header-checkpoint.ts';

test.each<[axis: number, shape: Shape, weight: string]>([
  [1, [2, 4, 1, 77], '[4, 1, 1]'],
  [2, [2, 8, 4, 77], '[4, 1]'],
  [-1, [2, 77, 4], '[4]'],
])('the weight of an rms_norm over axis %i lies along it', (axis, shape, weight) => {
  const at = headerScope({ 'norm.weight': [4] });
  const y = rmsNorm(at.in('norm'), at.builder.input('x', { dtype: 'f32', shape }), { axis, epsilon: 1e-6 });
  expect(y.name).toBe('norm');
  expect(formatShape(y.shape)).toBe(formatShape(shape));
  expect(y.inputs.map(({ op }) => op.kind)).toEqual(['rms_norm', 'weight']);
  expect(formatShape(y.inputs[1]?.shape ?? [])).toBe(weight);
});
