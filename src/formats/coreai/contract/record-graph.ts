import type { Graph, GraphBuilder, GraphOutput } from '../../../graph/graph.ts';
import { copyInto } from '../../../graph/rewrite.ts';
import type { Tensor } from '../../../graph/tensor.ts';
import { renamed } from '../../../weights/derived-weight.ts';

/** Results of a graph by name, in order. */
export type Results = ReadonlyMap<string, Tensor>;

/**
 * Records the operations of a graph in another one, with these tensors in the place of its inputs, and gives its results.
 * Names of tensors and weights get the `prefix`. Throws `RangeError` for an input that is not given.
 */
export function recordGraph(
  builder: GraphBuilder,
  { tensors, outputs }: Graph,
  inputs: ReadonlyMap<string, Tensor>,
  prefix = '',
): Results {
  const recorded = new Map<Tensor, Tensor>();
  const find = (tensor: Tensor): Tensor => {
    const found = recorded.get(tensor);
    if (!found) throw new RangeError(`${tensor.name} is not given`);
    return found;
  };
  for (const tensor of tensors) {
    const isInput = tensor.op.kind === 'input';
    const now = isInput
      ? inputs.get(tensor.name)
      : copyInto(builder, called(tensor, prefix), tensor.inputs.map(find));
    if (now) recorded.set(tensor, now);
  }
  return new Map(outputs.map(({ name, tensor }) => [name, find(tensor)]));
}

function called(tensor: Tensor, prefix: string): Tensor {
  const { op } = tensor;
  const name = `${prefix}${tensor.name}`;
  if (op.kind !== 'weight') return { ...tensor, name };
  return { ...tensor, name, op: { ...op, weight: renamed(op.weight, `${prefix}${op.weight.name}`) } };
}

/** Declares an input of this dtype and shape, under this name. */
export function declareLike(
  builder: GraphBuilder,
  { dtype, shape, name }: Pick<Tensor, 'dtype' | 'shape' | 'name'>,
): Tensor {
  return builder.input(name, { dtype, shape });
}

/** Results as outputs of the same names, or those of `names`. */
export function outputsOf(results: Results, names: Readonly<Record<string, string>> = {}): GraphOutput[] {
  return [...results].map(([name, tensor]) => ({ name: names[name] ?? name, tensor }));
}
