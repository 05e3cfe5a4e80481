import { elementCount } from '../weights/dtype.ts';
import { multiplyDims } from './dim.ts';
import type { Graph } from './graph.ts';
import { inferType } from './infer.ts';
import type { Op } from './op.ts';
import { sameShape } from './shape.ts';
import type { Tensor } from './tensor.ts';

/** Number of inputs of each kind of operation: [fewest, most]. */
const arities: { readonly [K in Op['kind']]: readonly [number, number] } = {
  input: [0, 0],
  weight: [0, 0],
  constant: [0, 0],
  conv2d: [2, 3],
  linear: [2, 3],
  matmul: [2, 2],
  einsum: [2, 2],
  add: [2, 2],
  mul: [2, 2],
  equal: [2, 2],
  greater: [2, 2],
  relu: [1, 1],
  silu: [1, 1],
  sigmoid: [1, 1],
  gelu: [1, 1],
  tanh: [1, 1],
  sin: [1, 1],
  cos: [1, 1],
  softmax: [1, 1],
  group_norm: [3, 3],
  layer_norm: [3, 3],
  rms_norm: [1, 1],
  normalize: [2, 2],
  reduce_max: [1, 1],
  reshape: [1, 1],
  reshape_like: [2, 2],
  transpose: [1, 1],
  concat: [2, Number.POSITIVE_INFINITY],
  slice: [1, 1],
  pad: [2, 2],
  cast: [1, 1],
  upsample_nearest: [1, 1],
  embedding: [2, 2],
  argmax: [1, 1],
  gather_nd: [2, 2],
};

/**
 * Checks what every rewrite must keep: names are unique, each tensor comes after what it reads, no operation reads too
 * few or too many, types are those the rules give, inputs and outputs are in the graph. Throws `Error`: a graph that fails is our bug.
 */
export function verifyGraph(graph: Graph): void {
  const seen = new Map<string, Tensor>();
  for (const tensor of graph.tensors) {
    const { name, op, inputs } = tensor;
    if (seen.has(name)) throw new Error(`two tensors are called ${name}`);
    const [fewest, most] = arities[op.kind];
    if (inputs.length < fewest || inputs.length > most)
      throw new Error(`${name}: ${op.kind} reads ${inputs.length} tensors`);
    for (const input of inputs) {
      if (seen.get(input.name) !== input)
        throw new Error(`${name} reads ${input.name}, which is not computed before it`);
    }
    if (op.kind === 'input') {
      if (!graph.inputs.includes(tensor)) throw new Error(`${name} is not among the inputs`);
    } else if (op.kind === 'weight' || op.kind === 'constant') {
      const count = op.kind === 'weight' ? elementCount(op.weight.shape) : op.data.length;
      if (multiplyDims(tensor.shape) !== count)
        throw new Error(`${name} has not as many elements as its shape`);
    } else {
      const type = inferType(op, inputs, name);
      if (type.dtype !== tensor.dtype || !sameShape(type.shape, tensor.shape))
        throw new Error(`${name} has not the type of its operation`);
    }
    seen.set(name, tensor);
  }
  for (const { name } of graph.inputs)
    if (seen.get(name)?.op.kind !== 'input') throw new Error(`the input ${name} is not in the graph`);
  const names = new Set<string>();
  for (const { name, tensor } of graph.outputs) {
    if (seen.get(tensor.name) !== tensor) throw new Error(`the output ${name} is not computed`);
    if (names.has(name)) throw new Error(`two outputs are called ${name}`);
    names.add(name);
  }
}
