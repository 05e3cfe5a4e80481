import { cast } from '../graph/functions.ts';
import type { Graph, GraphBuilder } from '../graph/graph.ts';
import { copyInto, rewrite } from '../graph/rewrite.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { DType } from '../weights/dtype.ts';

/** How numbers are stored and computed with. */
export const precisions = ['float32', 'float16', 'float16-weights'] as const;

/**
 * - `float32`: stored and computed in float32.
 * - `float16`: stored and computed in float16, but for the sinusoids of the time embedding.
 * - `float16-weights`: stored in float16, computed in float32.
 */
export type Precision = (typeof precisions)[number];

/** The graph in another precision, as a plan: no weight is read. Inputs and outputs keep their dtypes. */
export function withPrecision(graph: Graph, precision: Precision): Graph {
  switch (precision) {
    case 'float32':
      return graph;
    case 'float16':
      return inFloat16(graph);
    case 'float16-weights':
      return rewrite(graph, (builder, tensor, inputs) =>
        tensor.op.kind === 'weight' ? cast(copyInto(builder, { ...tensor, dtype: 'f16' }, []), 'f32') : copyInto(builder, tensor, inputs),
      );
  }
}

function inFloat16(graph: Graph): Graph {
  const wide = needingFloat32(graph);
  return rewrite(graph, (builder, tensor, inputs) => {
    const { op } = tensor;
    if (op.kind === 'weight') return copyInto(builder, { ...tensor, dtype: 'f16' }, []);
    if (op.kind === 'input' || op.kind === 'constant') return copyInto(builder, tensor, []);
    const dtype = wide.has(tensor) ? 'f32' : 'f16';
    const converted = inputs.map((input) => inDType(builder, input, dtype));
    if (op.kind !== 'cast' || op.to !== 'f32') return copyInto(builder, tensor, converted);
    return converted[0] ?? tensor;
  });
}

/**
 * The sinusoids and what they are computed from: a timestep of 981 times a frequency has a spacing of 0.5 in float16,
 * which leaves 25 dB of the embedding; in float32 it costs a few hundred multiplications.
 */
function needingFloat32(graph: Graph): ReadonlySet<Tensor> {
  const wide = new Set(graph.tensors.filter(({ op }) => op.kind === 'sin' || op.kind === 'cos'));
  for (const tensor of wide) for (const input of tensor.inputs) wide.add(input);
  return wide;
}

/** A fraction in another dtype; integers and booleans as they are. */
function inDType(builder: GraphBuilder, tensor: Tensor, dtype: DType): Tensor {
  if (tensor.dtype !== 'f32' && tensor.dtype !== 'f16') return tensor;
  const { op } = tensor;
  return op.kind === 'constant' ? builder.constant(op.data, tensor.shape, tensor.name, dtype) : cast(tensor, dtype);
}
