import { expect, test } from 'vitest';
import { scale, silu } from '../../src/graph/functions.ts';
import { GraphBuilder } from '../../src/graph/graph.ts';
import { printGraph } from '../../src/graph/print.ts';
import { rewrite } from '../../src/graph/rewrite.ts';
import { verifyGraph } from '../../src/graph/verify.ts';
import { copySplittingFactor, float16Factors } from '../../src/quantize/float16-factors.ts';
import { withPrecision } from '../../src/quantize/precision.ts';

test('a factor that float16 holds stays one factor', () => {
  for (const value of [0, 1, -2, 0.125, 64 ** -0.5, 0.7021484375])
    expect(float16Factors(value)).toEqual([value]);
});

test('any other factor is the product of two float16 numbers, a hundred times closer than one', () => {
  const heads = [40, 80, 160, 2, 8, 512].map((size) => Math.fround(size ** -0.5));
  for (const value of [...heads, Math.fround(1.702), -0.1, 1000.3]) {
    const [first, second = Number.NaN] = float16Factors(value);
    expect([...new Float16Array([first, second])]).toEqual([first, second]);
    // The spacing of float16 is 2^-11 of a number or more; measured over 0.01 … 2: 5.5e-6 at most, 7.5e-7 on average.
    expect(Math.abs(first * second - value) / Math.abs(value)).toBeLessThan(6e-6);
  }
});

test('a graph multiplies twice where once would be off, and keeps its names', () => {
  const builder = new GraphBuilder();
  const x = builder.input('x', { dtype: 'f32', shape: [2] });
  const graph = builder.finish([{ name: 'y', tensor: silu(scale(scale(x, 0.25), 40 ** -0.5)) }]);
  const split = withPrecision(graph, 'float16');
  verifyGraph(split);
  expect(printGraph(split)).toMatchInlineSnapshot(`
    "input x: f32 [2]
    x/cast = cast(x) to=f16: f16 [2]
    x/mul = mul(x/cast, 0.25): f16 [2]
    x/mul_2/half = mul(x/mul, 0.70166015625): f16 [2]
    x/mul_2 = mul(x/mul_2/half, 0.225341796875): f16 [2]
    x/silu = silu(x/mul_2): f16 [2]
    x/cast_2 = cast(x/silu) to=f32: f32 [2]
    return y = x/cast_2"
  `);
});

test('float32 factors are left alone', () => {
  const builder = new GraphBuilder();
  const x = builder.input('x', { dtype: 'f32', shape: [2] });
  const graph = builder.finish([{ name: 'y', tensor: scale(x, 40 ** -0.5) }]);
  expect(printGraph(rewrite(graph, copySplittingFactor))).toBe(printGraph(graph));
});
