import type { Graph } from './graph.ts';
import type { Op } from './op.ts';
import { isFixed } from './shape.ts';
import type { Tensor } from './tensor.ts';

/**
 * The most elements that exist at once when a graph of fixed sizes is computed in the order of its tensors, weights and
 * constants aside: each value from where it is computed to where it is read last,
 * sums, products and softmaxes in the place of what they are computed from. Throws `RangeError` for a free size.
 */
export function peakElements(graph: Graph): number {
  const lastReadAt = new Map<Tensor, number>();
  for (const [index, tensor] of graph.tensors.entries())
    for (const input of tensor.inputs) lastReadAt.set(storageOf(input), index);
  for (const { tensor } of graph.outputs) lastReadAt.set(storageOf(tensor), graph.tensors.length);
  const endingAt = Map.groupBy(lastReadAt.keys(), (tensor) => lastReadAt.get(tensor));
  let [alive, peak] = [0, 0];
  for (const [index, tensor] of graph.tensors.entries()) {
    const ended = (endingAt.get(index) ?? []).reduce((sum, each) => sum + elementsOf(each), 0);
    const added = elementsOf(tensor);
    peak = Math.max(peak, alive + (inPlace.has(tensor.op.kind) ? added - ended : added));
    alive += added - ended;
  }
  return peak;
}

/** Operations that runtimes compute in place, in the memory of an input that nothing else reads. */
const inPlace: ReadonlySet<Op['kind']> = new Set(['add', 'mul', 'softmax']);

/** The value in whose memory a value lies: to reshape copies nothing. */
function storageOf(tensor: Tensor): Tensor {
  const [input] = tensor.inputs;
  return tensor.op.kind === 'reshape' && input ? storageOf(input) : tensor;
}

/** The elements that computing a value adds. */
function elementsOf({ name, op, shape }: Tensor): number {
  if (op.kind === 'weight' || op.kind === 'constant' || op.kind === 'reshape') return 0;
  if (!isFixed(shape)) throw new RangeError(`${name} has a free size`);
  return shape.reduce((product, size) => product * size, 1);
}
