import { describe, expect, test } from 'vitest';
import { add, silu } from '../../src/graph/functions.ts';
import { type Graph, GraphBuilder } from '../../src/graph/graph.ts';
import type { Op } from '../../src/graph/op.ts';
import type { Tensor } from '../../src/graph/tensor.ts';
import { verifyGraph } from '../../src/graph/verify.ts';
import { unreadWeight } from '../support/memory-weight.ts';

const type = { dtype: 'f32', shape: [2, 3] } as const;
const builder = new GraphBuilder();
const x = builder.input('x', type);
const weight = builder.weight(unreadWeight('w', [6]), type);
const constant = builder.constant(Float32Array.of(1, 2, 3), [3], 'c');
const sum = add(add(x, weight), constant);
const y = silu(sum);
const intact = builder.finish([{ name: 'out', tensor: y }]);

test('a graph that a builder made is intact', () => {
  expect(() => verifyGraph(intact)).not.toThrow();
});

describe('a rewrite that breaks a graph is found out:', () => {
  test.each<[string, Graph, string]>([
    ['two tensors of one name', withTensors([...intact.tensors, { ...y }]), 'two tensors are called x/silu'],
    [
      'a tensor before what it reads',
      withTensors(intact.tensors.toReversed()),
      'x/silu reads x/add_2, which is not computed before it',
    ],
    [
      'a tensor that reads one of another graph',
      withTensors([...intact.tensors, altered(y, { name: 'z', inputs: [{ ...sum }] })]),
      'z reads x/add_2, which is not computed before it',
    ],
    ['too few inputs', replaced(y, { inputs: [] }), 'x/silu: silu reads 0 tensors'],
    ['too many inputs', replaced(y, { inputs: [sum, sum] }), 'x/silu: silu reads 2 tensors'],
    ['an input that reads', replaced(x, { inputs: [x] }), 'x: input reads 1 tensors'],
    [
      'another shape than the operation gives',
      replaced(y, { shape: [3, 2] }),
      'x/silu has not the type of its operation',
    ],
    [
      'another dtype than the operation gives',
      replaced(y, { dtype: 'f16' }),
      'x/silu has not the type of its operation',
    ],
    [
      'a weight in a shape of other size',
      replaced(weight, { shape: [2, 4] }),
      'w has not as many elements as its shape',
    ],
    [
      'a constant in a shape of other size',
      replaced(constant, { shape: [4] }),
      'c has not as many elements as its shape',
    ],
    ['an input that the caller does not know of', { ...intact, inputs: [] }, 'x is not among the inputs'],
    [
      'an input that is not in the graph',
      { ...intact, inputs: [x, altered(x, { name: 'z' })] },
      'the input z is not in the graph',
    ],
    [
      'an output that is not computed',
      withTensors(intact.tensors.slice(0, -1)),
      'the output out is not computed',
    ],
    [
      'two outputs of one name',
      { ...intact, outputs: [...intact.outputs, { name: 'out', tensor: sum }] },
      'two outputs are called out',
    ],
  ])('%s', (_, graph, message) => {
    expect(() => verifyGraph(graph)).toThrow(new Error(message));
  });

  test('an operation on shapes that do not fit', () => {
    const graph = replaced(y, { op: { kind: 'argmax' } satisfies Op, inputs: [constant] });
    expect(() => verifyGraph(graph)).toThrow('the shapes do not fit at x/silu: x [3] is not of rank 2.');
  });
});

function withTensors(tensors: readonly Tensor[]): Graph {
  return { ...intact, tensors };
}

function altered(tensor: Tensor, changes: Partial<Tensor>): Tensor {
  return { ...tensor, ...changes };
}

/** The graph with one tensor altered, everywhere it occurs. */
function replaced(tensor: Tensor, changes: Partial<Tensor>): Graph {
  const renewed = new Map<Tensor, Tensor>();
  const renew = (each: Tensor): Tensor => renewed.get(each) ?? each;
  for (const each of intact.tensors) {
    const changed = each === tensor ? { ...each, ...changes } : each;
    renewed.set(each, { ...changed, inputs: changed.inputs.map(renew) });
  }
  return {
    inputs: intact.inputs.map(renew),
    tensors: intact.tensors.map(renew),
    outputs: intact.outputs.map((output) => ({ ...output, tensor: renew(output.tensor) })),
  };
}
