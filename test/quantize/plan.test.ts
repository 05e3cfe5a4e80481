import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RequestError } from '../../src/errors.ts';
import { matchesWeight, planQuantization } from '../../src/quantize/plan.ts';
import { thrownBy } from '../support/thrown-by.ts';

function weight(name: string) {
  return { name, shape: [64, 64], outputAxis: 0, inputAxis: 1 };
}

describe('one pattern fits a checkpoint’s names and Core ML’s', () => {
  const name = 'down_blocks.0.attentions.1.proj_in.weight';
  test.each([
    ['*', true],
    [name, true],
    ['down_blocks.0.*', true],
    ['*proj_in*', true],
    ['proj_in', false],
    ['down_blocks.1.*', false],
    ['down_blocks_0_attentions_1_proj_in_weight', true],
  ])('%s', (pattern, expected) => {
    expect(matchesWeight(pattern, name)).toBe(expected);
    expect(matchesWeight(pattern, 'down_blocks_0_attentions_1_proj_in_weight_to_fp16')).toBe(expected);
    expect(matchesWeight(pattern, 'down_blocks_0_attentions_1_proj_in_weight_to_fp16_palettized')).toBe(
      expected,
    );
  });

  test('what means something to regular expressions stands for itself', () => {
    expect(matchesWeight('a(b)[c]', 'a(b)[c]')).toBe(true);
    expect(matchesWeight('a.c', 'abc')).toBe(false);
  });
});

test('the weights that are named, but for those that are skipped', () => {
  const plan = planQuantization({ bits: 6, weights: ['mid.*', 'up.*'], skipWeights: ['*.conv'] });
  expect(plan(weight('mid.linear'))).toMatchObject({ kind: 'palette', bits: 6 });
  expect(plan(weight('up.linear'))).toMatchObject({ kind: 'palette', bits: 6 });
  expect(plan(weight('up.conv'))).toBeUndefined();
  expect(plan(weight('down.linear'))).toBeUndefined();
});

test.each([
  ['a palette of 5 bits', { bits: 5 }],
  ['a palette of 16 bits', { bits: 16 }],
  ['linear quantisation to 6 bits', { bits: 6, mode: 'linear' }],
  ['a group size of 0', { bits: 4, groupSize: 0 }],
  ['a group size of 1.5', { bits: 4, groupSize: 1.5 }],
  ['MatMulNBits with 8 bits', { bits: 8, mode: 'linear', matMulNBits: true }],
  ['MatMulNBits with palettes', { bits: 4, matMulNBits: true }],
  ['scales for channels with grouped or 8-bit palettes', { bits: 4, channelScales: true, groupSize: 8 }],
  ['what changes palettes in a linear mode', { bits: 4, mode: 'linear', int8Palette: true }],
] as const)('%s is refused', (what, options) => {
  const error = thrownBy(() => planQuantization(options));
  expect(error).toBeInstanceOf(RequestError);
  expect(error.problem).toBe(`${what} is not possible.`);
});

test('matches what a regular expression would, for any pattern and name', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', '*', '.'), maxLength: 8 });
  fc.assert(
    fc.property(
      letters,
      fc.string({ unit: fc.constantFrom('a', 'b', '_'), maxLength: 12 }),
      (pattern, name) => {
        const expression = pattern.replaceAll('.', '_').replaceAll('*', '.*');
        expect(matchesWeight(pattern, name)).toBe(new RegExp(`^${expression}$`).test(name));
      },
    ),
    { seed: 12, numRuns: 500 },
  );
});

test('takes no longer for patterns of many stars and names of many suffixes', { timeout: 5000 }, () => {
  expect(matchesWeight(`${'*a'.repeat(1000)}*b`, 'a'.repeat(100_000))).toBe(false);
  expect(matchesWeight('x', `${'_to_fp16'.repeat(50_000)}x`)).toBe(false);
});
