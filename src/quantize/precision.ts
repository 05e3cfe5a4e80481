import { cast } from '../graph/functions.ts';
import type { Graph, GraphBuilder } from '../graph/graph.ts';
import { copyInto, rewrite } from '../graph/rewrite.ts';
import type { Tensor } from '../graph/tensor.ts';
import { type DType, isFloat } from '../weights/dtype.ts';
import type { Weight } from '../weights/weight.ts';
import { copySplittingFactor } from './float16-factors.ts';

/** Dtypes of weights and of computation. */
export const precisions = ['float32', 'float16', 'float16-weights'] as const;

/**
 * - `float32`: stored and computed in float32.
 * - `float16`: stored and computed in float16, but for the sinusoids of the time embedding and what follows a normalized vector.
 * - `float16-weights`: stored in float16, computed in float32.
 */
export type Precision = (typeof precisions)[number];

/**
 * The graph in another precision, as a plan: no weight is read. Inputs and outputs keep their dtypes. With `weightOf`, its weights
 * become those that it gives.
 */
export function withPrecision(
  graph: Graph,
  precision: Precision,
  weightOf?: (weight: Weight) => Weight,
): Graph {
  const given = (weight: Weight): Weight => weightOf?.(weight) ?? weight;
  switch (precision) {
    case 'float32':
      if (!weightOf) return graph;
      return rewrite(graph, (builder, tensor, inputs) =>
        tensor.op.kind === 'weight'
          ? builder.weight(given(tensor.op.weight), tensor)
          : copyInto(builder, tensor, inputs),
      );
    case 'float16':
      return inFloat16(graph, given);
    case 'float16-weights':
      return rewrite(graph, (builder, tensor, inputs) =>
        tensor.op.kind === 'weight'
          ? cast(builder.weight(given(tensor.op.weight), { ...tensor, dtype: 'f16' }), 'f32')
          : copyInto(builder, tensor, inputs),
      );
  }
}

function inFloat16(graph: Graph, given: (weight: Weight) => Weight): Graph {
  const wide = needingFloat32(graph);
  return rewrite(graph, (builder, tensor, inputs) => {
    const { op } = tensor;
    const dtype = wide.has(tensor) ? 'f32' : 'f16';
    switch (op.kind) {
      case 'weight':
        return builder.weight(given(op.weight), { ...tensor, dtype: 'f16' });
      case 'input':
      case 'constant':
        return copyInto(builder, tensor, []);
      case 'cast':
        // Cast integers straight from the input: a token id of 49407, given as float32, has no float16.
        return isFloat(op.to) ? inDType(builder, onlyOne(inputs), dtype) : copyInto(builder, tensor, inputs);
      default:
        return copySplittingFactor(
          builder,
          tensor,
          inputs.map((input) => fractionIn(builder, input, dtype)),
        );
    }
  });
}

/**
 * - The sinusoids and what they are computed from: a timestep of 981 times a frequency has a spacing of 0.5 in float16,
 *   which leaves 25 dB of the embedding; in float32 it costs a few hundred multiplications.
 * - Vectors that are normalized and what is computed from them, in the safety checker: the squares of a vector longer
 *   than 255 leave float16's range, and its cosines are compared with thresholds of three decimals, near float16's
 *   precision. The cost is small: 20 concepts, and a picture that is a float32 output anyway.
 */
function needingFloat32(graph: Graph): ReadonlySet<Tensor> {
  const angles = new Set(graph.tensors.filter(({ op }) => op.kind === 'sin' || op.kind === 'cos'));
  for (const tensor of angles) for (const input of tensor.inputs) angles.add(input);
  const cosines = new Set<Tensor>();
  for (const tensor of graph.tensors) {
    if (tensor.op.kind === 'normalize' || tensor.inputs.some((input) => cosines.has(input)))
      cosines.add(tensor);
  }
  return new Set([...angles, ...cosines]);
}

/** A fraction in another dtype; integers and booleans as they are. */
function fractionIn(builder: GraphBuilder, tensor: Tensor, dtype: DType): Tensor {
  return isFloat(tensor.dtype) ? inDType(builder, tensor, dtype) : tensor;
}

function inDType(builder: GraphBuilder, tensor: Tensor, dtype: DType): Tensor {
  const { op, name, shape } = tensor;
  return op.kind === 'constant' ? builder.constant(op.data, shape, name, dtype) : cast(tensor, dtype);
}

function onlyOne(inputs: readonly Tensor[]): Tensor {
  const [input] = inputs;
  if (!input || inputs.length > 1) throw new Error('a cast reads one tensor');
  return input;
}
