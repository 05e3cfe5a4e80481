import { describe, expect, test } from 'vitest';
import { appleContract } from '../../src/convert/contracts/apple.ts';
import { optimumContract } from '../../src/convert/contracts/optimum.ts';
import { convert } from '../../src/convert/convert.ts';
import { add, cast, cos, mul, scale, silu } from '../../src/graph/functions.ts';
import { type Graph, GraphBuilder } from '../../src/graph/graph.ts';
import { printGraph } from '../../src/graph/print.ts';
import type { Tensor } from '../../src/graph/tensor.ts';
import { verifyGraph } from '../../src/graph/verify.ts';
import { precisions, withPrecision } from '../../src/quantize/precision.ts';
import { fullSizeCheckpoint } from '../support/full-size.ts';
import { unreadWeight } from '../support/memory-weight.ts';

/** Ids and a timestep in, fractions out: an embedding plus a sinusoid, times a weight. */
function small(): Graph {
  const builder = new GraphBuilder();
  const ids = builder.input('ids', { dtype: 'f32', shape: [3] });
  const timestep = builder.input('timestep', { dtype: 'f32', shape: [1] });
  const weight = (name: string, ...shape: number[]): Tensor =>
    builder.weight(unreadWeight(name, shape, 'f32'), { dtype: 'f32', shape });
  const rows = builder.apply({ kind: 'embedding' }, [weight('table', 9, 4), cast(ids, 'i32')], 'rows');
  const frequencies = builder.constant(Float32Array.of(1, 0.1, 0.01, 0.001), [4], 'frequencies');
  const time = cos(mul(timestep, frequencies));
  const y = mul(silu(add(rows, time)), weight('gain', 4));
  return builder.finish([{ name: 'y', tensor: scale(y, 0.5) }]);
}

test('float32 is the graph itself', () => {
  const graph = small();
  expect(withPrecision(graph, 'float32')).toBe(graph);
});

test('float16 stores and computes in float16, but for token ids and the sinusoids’ angles', () => {
  const graph = withPrecision(small(), 'float16');
  verifyGraph(graph);
  expect(printGraph(graph)).toMatchInlineSnapshot(`
    "input ids: f32 [3]
    input timestep: f32 [1]
    ids/cast = cast(ids) to=i32: i32 [3]
    rows = embedding(table f16 [9, 4], ids/cast): f16 [3, 4]
    timestep/mul = mul(timestep, constant [4]): f32 [4]
    timestep/cos = cos(timestep/mul): f32 [4]
    timestep/cast = cast(timestep/cos) to=f16: f16 [4]
    rows/add = add(rows, timestep/cast): f16 [3, 4]
    rows/silu = silu(rows/add): f16 [3, 4]
    rows/mul = mul(rows/silu, gain f16 [4]): f16 [3, 4]
    rows/mul_2 = mul(rows/mul, 0.5): f16 [3, 4]
    rows/cast = cast(rows/mul_2) to=f32: f32 [3, 4]
    return y = rows/cast"
  `);
});

test('float16-weights stores in float16 and computes in float32', () => {
  const graph = withPrecision(small(), 'float16-weights');
  verifyGraph(graph);
  expect(printGraph(graph)).toMatchInlineSnapshot(`
    "input ids: f32 [3]
    input timestep: f32 [1]
    table/cast = cast(table f16 [9, 4]) to=f32: f32 [9, 4]
    ids/cast = cast(ids) to=i32: i32 [3]
    rows = embedding(table/cast, ids/cast): f32 [3, 4]
    timestep/mul = mul(timestep, constant [4]): f32 [4]
    timestep/cos = cos(timestep/mul): f32 [4]
    rows/add = add(rows, timestep/cos): f32 [3, 4]
    rows/silu = silu(rows/add): f32 [3, 4]
    gain/cast = cast(gain f16 [4]) to=f32: f32 [4]
    rows/mul = mul(rows/silu, gain/cast): f32 [3, 4]
    rows/mul_2 = mul(rows/mul, 0.5): f32 [3, 4]
    return y = rows/mul_2"
  `);
});

test('in float16, a cast that asked for float32 becomes one to float16, also from integers', () => {
  const builder = new GraphBuilder();
  const ids = builder.input('ids', { dtype: 'i32', shape: [2] });
  const half = builder.input('half', { dtype: 'f16', shape: [2] });
  const y = add(silu(cast(ids, 'f32')), cast(half, 'f32'));
  const graph = withPrecision(builder.finish([{ name: 'y', tensor: y }]), 'float16');
  verifyGraph(graph);
  expect(printGraph(graph)).toMatchInlineSnapshot(`
    "input ids: i32 [2]
    input half: f16 [2]
    ids/cast = cast(ids) to=f16: f16 [2]
    ids/silu = silu(ids/cast): f16 [2]
    ids/add = add(ids/silu, half): f16 [2]
    ids/cast_2 = cast(ids/add) to=f32: f32 [2]
    return y = ids/cast_2"
  `);
});

describe.each(Object.entries({ optimum: optimumContract, apple: appleContract }))(
  'every network for %s',
  (_, contract) => {
    const sizes = { latentHeight: 64, latentWidth: 64 };
    const models = convert(fullSizeCheckpoint('sd21-base'), { contract, attention: 'SPLIT_EINSUM', sizes });

    test.each(precisions)('keeps its borders in %s, and no weight is read', (precision) => {
      for (const { graph } of models) {
        const rewritten = withPrecision(graph, precision);
        verifyGraph(rewritten);
        expect(borders(rewritten)).toEqual(borders(graph));
      }
    });

    test('has all its weights in float16 where that is asked for', () => {
      for (const { graph } of models) {
        for (const precision of ['float16', 'float16-weights'] as const) {
          const dtypes = withPrecision(graph, precision).tensors.flatMap(({ op, dtype }) =>
            op.kind === 'weight' ? [dtype] : [],
          );
          expect(new Set(dtypes)).toEqual(new Set(['f16']));
        }
      }
    });

    test('computes in float16 what has weights, heads or images in it', () => {
      for (const { graph } of models) {
        const wide = withPrecision(graph, 'float16').tensors.filter(
          ({ op, dtype }) => dtype === 'f32' && op.kind !== 'cast' && op.kind !== 'input',
        );
        expect(new Set(wide.map(({ name }) => name.split('/')[0]))).toEqual(
          new Set(graph.inputs.some(({ name }) => name === 'timestep') ? ['timestep', 'time_proj'] : []),
        );
      }
    });
  },
);

function borders({ inputs, outputs }: Graph): string[] {
  const types = [...inputs, ...outputs.map(({ name, tensor: { dtype, shape } }) => ({ name, dtype, shape }))];
  return types.map(({ name, dtype, shape }) => `${name}: ${dtype} ${JSON.stringify(shape)}`);
}
