import { expect, test } from 'vitest';
import { buildProgram } from '../../../../src/formats/coreai/lower/build-program.ts';
import { add, matmul, scale, softmax } from '../../../../src/graph/functions.ts';
import { GraphBuilder } from '../../../../src/graph/graph.ts';
import { evaluate } from '../../../support/coreai-evaluator.ts';
import { everyCase, expectedOfCase, feedsOfCase, graphOfCase } from '../../../support/op-cases/every-case.ts';
import { fill, windowSum } from '../../../support/op-cases/op-case.ts';
import { scattered } from '../../../support/scattered.ts';

function largestError(found: readonly number[] = [], expected: readonly number[]): number {
  expect(found).toHaveLength(expected.length);
  const errors = found.map((value, at) => Math.abs(value - (expected[at] ?? Number.NaN)));
  return Math.max(...errors) / Math.max(...expected.map(Math.abs));
}

// In float64, but for constants: those are float32.
test.each(everyCase)(
  '$name: what a runtime computes that knows the primitive operations alone',
  async (each) => {
    const feeds = feedsOfCase(each).map(([name, { data }]) => [name, Array.from(data, Number)] as const);
    const results = await evaluate(buildProgram(graphOfCase(each)), new Map(feeds));
    expect(largestError(results.get('y'), expectedOfCase(each))).toBeLessThan(1e-7);
  },
);

test.each([
  ['scores multiplied by d^−½, which is not said', 4 ** -0.5, undefined],
  ['scores multiplied by another number', 0.75, 0.75],
])('attention with a mask: %s', async (_, factor, said) => {
  const builder = new GraphBuilder();
  const [q, k, v] = ['q', 'k', 'v'].map((name) => builder.input(name, { dtype: 'f32', shape: [1, 2, 3, 4] }));
  if (!q || !k || !v) throw new Error('unreachable');
  const mask = [0, -1e4, -1e4, 0, 0, -1e4, 0, 0, 0];
  const scores = add(
    matmul(scale(q, factor), k, { transposeB: true }),
    builder.constant(Float32Array.from(mask), [1, 1, 3, 3]),
  );
  const program = buildProgram(builder.finish([{ name: 'y', tensor: matmul(softmax(scores, 3), v) }]));
  const [declared] = program.graphs;
  expect(declared?.declaration?.name).toBe('scaled_dot_product_attention');
  const written = declared?.declaration?.attributes.scale;
  expect(written?.kind === 'float' ? written.value : undefined).toBe(said);
  const feeds = ['q', 'k', 'v'].map((name, seed) => [name, [...scattered(24, seed + 1)]] as const);
  const at = ([, numbers]: readonly [string, readonly number[]], h: number, s: number, d: number) =>
    numbers[h * 12 + s * 4 + d] ?? Number.NaN;
  const [fq, fk, fv] = feeds;
  if (!fq || !fk || !fv) throw new Error('unreachable');
  const expected = fill([2, 3, 4], (h, s, d) => {
    const weight = (t: number) =>
      Math.exp(factor * windowSum([4], (c) => at(fq, h, s, c) * at(fk, h, t, c)) + (mask[s * 3 + t] ?? 0));
    return windowSum([3], (t) => weight(t) * at(fv, h, t, d)) / windowSum([3], weight);
  });
  const results = await evaluate(program, new Map(feeds));
  expect(largestError(results.get('y'), expected)).toBeLessThan(1e-7);
});
