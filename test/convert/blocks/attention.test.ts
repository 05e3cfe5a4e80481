import { describe, expect, test } from 'vitest';
import {
  type AttentionImplementation,
  attention,
  attentionImplementations,
} from '../../../src/convert/blocks/attention.ts';
import { ShapeError } from '../../../src/errors.ts';
import { buildOnnxModel } from '../../../src/formats/onnx/build-model.ts';
import { GraphBuilder } from '../../../src/graph/graph.ts';
import { Scope } from '../../../src/graph/scope.ts';
import { WeightBook } from '../../../src/graph/weight-book.ts';
import { type Precision, withPrecision } from '../../../src/quantize/precision.ts';
import { psnr } from '../../../src/validate/psnr.ts';
import { elementCount } from '../../../src/weights/dtype.ts';
import { memoryWeight } from '../../support/memory-weight.ts';
import { runOnnx } from '../../support/run-onnx.ts';
import { scattered } from '../../support/scattered.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const inFolder = temporaryFolder();

const width = 16;
const heads = 2;
const names = ['to_q', 'to_k', 'to_v', 'to_out.0'] as const;
const shapes = { to_q: [width, width], to_k: [width, 24], to_v: [width, 24], 'to_out.0': [width, width] };

describe.each([
  ['a small image and a text', 16 * 16, 77],
  ['latents of 24 × 24, which are a chunk of 512 tokens and one of 64, and a text', 24 * 24, 77],
  ['latents of 24 × 32, which are a chunk of 512 tokens and one of 256, and as many keys', 24 * 32, 24 * 32],
])('%s', (_, queries, keys) => {
  const expected = plainAttention(queries, keys);

  test.each(attentionImplementations)('%s is softmax(Q·Kᵀ/√d)·V, for every token', async (implementation) => {
    // Measured: 143.2 dB at least.
    expect(psnr(expected, await run(implementation, queries, keys, 'float32'))).toBeGreaterThan(135);
  });

  test.each(attentionImplementations)('%s is close to it in float16', async (implementation) => {
    // Measured: 75.9 dB at least.
    expect(psnr(expected, await run(implementation, queries, keys, 'float16'))).toBeGreaterThan(67);
  });
});

test.each(attentionImplementations)(
  '%s: heads that do not divide the channels are refused',
  (implementation) => {
    for (const heads of [3, 2 ** 40]) {
      const weights = names.map((name) => memoryWeight(`${name}.weight`, shapes[name], values(name)));
      const at = new Scope(
        new GraphBuilder(),
        new WeightBook('the test', new Map(weights.map((each) => [each.name, each]))),
      );
      const x = at.builder.input('x', { dtype: 'f32', shape: [1, width, 1, 4] });
      const context = at.builder.input('context', { dtype: 'f32', shape: [1, 24, 1, 4] });
      expect(() => attention(at, x, context, { heads, implementation })).toThrow(ShapeError);
    }
  },
);

async function run(
  implementation: AttentionImplementation,
  queries: number,
  keys: number,
  precision: Precision,
): Promise<Float32Array> {
  const weights = names.map((name) => memoryWeight(`${name}.weight`, shapes[name], values(name)));
  weights.push(memoryWeight('to_out.0.bias', [width], values('bias')));
  const book = new WeightBook('the test', new Map(weights.map((weight) => [weight.name, weight])));
  const at = new Scope(new GraphBuilder(), book);
  const x = at.builder.input('x', { dtype: 'f32', shape: [1, width, 1, queries] });
  const context = at.builder.input('context', { dtype: 'f32', shape: [1, 24, 1, keys] });
  const y = attention(at, x, context, { heads, implementation });
  book.finish([]);
  const graph = withPrecision(at.builder.finish([{ name: 'y', tensor: y }]), precision);
  const feeds = {
    x: { dtype: 'f32', shape: [1, width, 1, queries], data: scattered(width * queries, 1) },
    context: { dtype: 'f32', shape: [1, 24, 1, keys], data: scattered(24 * keys, 2) },
  } as const;
  const { y: found } = await runOnnx(
    buildOnnxModel(graph, {}),
    inFolder(`${implementation}-${queries}-${precision}`),
    feeds,
  );
  return found?.dtype === 'f32' ? found.data : new Float32Array();
}

/** The same as plain loops over tokens, in float64. */
function plainAttention(queries: number, keys: number): number[] {
  const project = (name: keyof typeof shapes, x: ArrayLike<number>, count: number): number[][] => {
    const [out = 0, into = 0] = shapes[name];
    const weight = values(name);
    const at = (token: number, o: number) =>
      sum(into, (i) => (weight[o * into + i] ?? 0) * (x[i * count + token] ?? 0));
    return Array.from({ length: count }, (_, token) => Array.from({ length: out }, (_, o) => at(token, o)));
  };
  const context = scattered(24 * keys, 2);
  const q = project('to_q', scattered(width * queries, 1), queries);
  const k = project('to_k', context, keys);
  const v = project('to_v', context, keys);
  const size = width / heads;
  const mixed = new Float64Array(width * queries);
  for (const [token, query] of q.entries()) {
    for (let head = 0; head < heads; head++) {
      const channels = Array.from({ length: size }, (_, i) => head * size + i);
      const scores = k.map(
        (key) => channels.reduce((dot, c) => dot + (query[c] ?? 0) * (key[c] ?? 0), 0) / Math.sqrt(size),
      );
      const highest = Math.max(...scores);
      const powers = scores.map((score) => Math.exp(score - highest));
      const total = powers.reduce((a, b) => a + b);
      for (const c of channels)
        mixed[c * queries + token] = sum(keys, (i) => ((powers[i] ?? 0) / total) * (v[i]?.[c] ?? 0));
    }
  }
  const bias = values('bias');
  const out = project('to_out.0', mixed, queries);
  return Array.from({ length: width }, (_, c) => out.map((row) => (row[c] ?? 0) + (bias[c] ?? 0))).flat();
}

function values(name: (typeof names)[number] | 'bias'): Float32Array {
  if (name === 'bias') return scattered(width, 3);
  return scattered(elementCount(shapes[name]), 4 + names.indexOf(name));
}

function sum(count: number, term: (i: number) => number): number {
  let total = 0;
  for (let i = 0; i < count; i++) total += term(i);
  return total;
}
