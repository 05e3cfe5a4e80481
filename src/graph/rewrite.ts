import { cast } from './functions.ts';
import { type Graph, GraphBuilder } from './graph.ts';
import type { Tensor } from './tensor.ts';

/** Makes the new form of a tensor in `builder`; `inputs` are its inputs in their new form. `copyInto` changes nothing. */
export type Rewriting = (builder: GraphBuilder, tensor: Tensor, inputs: readonly Tensor[]) => Tensor;

/** The graph with each tensor replaced by what `rewriting` makes of it, in order. Inputs and outputs keep names and dtypes. */
export function rewrite(graph: Graph, rewriting: Rewriting): Graph {
  const builder = new GraphBuilder();
  const renewed = new Map<Tensor, Tensor>();
  const renew = (tensor: Tensor): Tensor => {
    const found = renewed.get(tensor);
    if (!found) throw new Error(`${tensor.name} is read before it is computed`);
    return found;
  };
  for (const tensor of graph.tensors)
    renewed.set(tensor, rewriting(builder, tensor, tensor.inputs.map(renew)));
  return builder.finish(
    graph.outputs.map(({ name, tensor }) => ({ name, tensor: cast(renew(tensor), tensor.dtype) })),
  );
}

/** Copies an operation into another graph, under the same name, with new `inputs`. */
export function copyInto(builder: GraphBuilder, tensor: Tensor, inputs: readonly Tensor[]): Tensor {
  const { op, name } = tensor;
  switch (op.kind) {
    case 'input':
      return builder.input(name, tensor);
    case 'weight':
      return builder.weight(op.weight, tensor);
    case 'constant':
      return builder.constant(op.data, tensor.shape, name, tensor.dtype);
    default:
      return builder.apply(op, inputs, name);
  }
}
