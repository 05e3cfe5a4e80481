import { expect, test } from 'vitest';
import { isMilOperation, statisticsName } from '../../../../src/formats/coreml/mil/mil-operations.ts';

// From metadata.json of models that Apple's compiler made.
test.each([
  ['einsum', 15, 'Einsum'],
  ['einsum', 16, 'Ios16.einsum'],
  ['einsum', 17, 'Ios16.einsum'],
  ['einsum', 18, 'Ios16.einsum'],
  ['conv', 17, 'Ios17.conv'],
  ['constexpr_lut_to_dense', 16, 'Ios16.constexprLutToDense'],
  ['slice_by_index', 16, 'SliceByIndex'],
  ['slice_by_index', 17, 'Ios17.sliceByIndex'],
  ['gelu', 17, 'Ios16.gelu'],
  ['gelu', 18, 'Ios18.gelu'],
  ['split', 18, 'Split'],
  ['scaled_dot_product_attention', 18, 'Ios18.scaledDotProductAttention'],
] as const)('%s for iOS %i is called %s in the statistics that apps read', (type, ios, name) => {
  expect(statisticsName(type, ios)).toBe(name);
});

test('an operation that Core ML does not have is not known', () => {
  expect(isMilOperation('conv')).toBe(true);
  expect(isMilOperation('frobnicate')).toBe(false);
  expect(isMilOperation('constructor')).toBe(false);
});
