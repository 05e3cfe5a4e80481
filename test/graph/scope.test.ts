import { expect, test } from 'vitest';
import { ShapeError } from '../../src/errors.ts';
import { headerScope } from '../support/header-checkpoint.ts';
import { thrownBy } from '../support/thrown-by.ts';

const weights = {
  'down.0.conv.weight': [8, 4, 3, 3],
  'down.0.conv.bias': [8],
  'down.1.conv.weight': [8, 8, 3, 3],
  'down.3.conv.weight': [8, 8, 3, 3],
  'proj.weight': [6, 4],
};

test('the path is the name', () => {
  const at = headerScope(weights).in('down').in('0').in('conv');
  expect(at.path).toBe('down.0.conv');
  expect(at.weight('weight')).toMatchObject({
    name: 'down.0.conv.weight',
    dtype: 'f32',
    shape: [8, 4, 3, 3],
  });
});

test('a name is there when weights lie at or below it, whole parts of names only', () => {
  const root = headerScope(weights);
  for (const name of ['down', 'down.0', 'down.0.conv', 'down.0.conv.bias']) expect(root.has(name)).toBe(true);
  for (const name of ['dow', 'down.0.con', 'down.1.conv.bias', 'conv', ''])
    expect(root.has(name)).toBe(false);
  expect(root.in('down.1').has('conv.weight')).toBe(true);
  expect(root.in('down.1').has('bias')).toBe(false);
});

test('a weight can be read in another shape of as many elements, never of more or fewer', () => {
  const at = headerScope(weights).in('proj');
  expect(at.weightAs('weight', ([out = 0, into = 0]) => [out, into, 1, 1]).shape).toEqual([6, 4, 1, 1]);
  const error = thrownBy(() =>
    headerScope(weights)
      .in('down.0.conv')
      .weightAs('weight', ([out = 0, into = 0]) => [out, into, 1, 1]),
  );
  expect(error).toBeInstanceOf(ShapeError);
  expect(error.problem).toBe(
    'down.0.conv.weight has the shape [8, 4, 3, 3], which cannot be read as [8, 4, 1, 1].',
  );
  expect(error.details).toEqual({ file: 'header.safetensors' });
});
