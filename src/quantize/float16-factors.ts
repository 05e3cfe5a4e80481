import type { GraphBuilder } from '../graph/graph.ts';
import { copyInto } from '../graph/rewrite.ts';
import type { Tensor } from '../graph/tensor.ts';
import { float16Bits, float16Value } from '../weights/convert-dtype.ts';

/**
 * Copies an operation of a float16 graph, a factor in two where float16 cannot hold it. One such as 40^−½ of an attention with 40
 * channels a head is off by up to one part in 2048, and for every element the same way: it changes the temperature of the softmax.
 * As the product of two float16 numbers, multiplied by one after the other, it is off by a few parts in a million.
 */
export function copySplittingFactor(
  builder: GraphBuilder,
  tensor: Tensor,
  inputs: readonly Tensor[],
): Tensor {
  const [x, factor] = inputs;
  if (tensor.op.kind !== 'mul' || !x || !factor) return copyInto(builder, tensor, inputs);
  const [first, second] = float16Factors(scalarFloat16(factor) ?? 1);
  if (second === undefined) return copyInto(builder, tensor, inputs);
  const constant = (value: number): Tensor => builder.constant(Float32Array.of(value), [], 'factor', 'f16');
  const half = builder.apply({ kind: 'mul' }, [x, constant(first)], `${tensor.name}/half`);
  return copyInto(builder, tensor, [half, constant(second)]);
}

/** The number itself where float16 holds it; else two float16 numbers whose product is nearest to it, the first between ½ and 1. */
export function float16Factors(value: number): readonly [number, number?] {
  if (rounded(value) === value || value === 0 || !Number.isFinite(value)) return [value];
  let best: [number, number] = [1, rounded(value)];
  for (let step = 1024; step < 2048; step++) {
    const first = step / 2048;
    const second = rounded(value / first);
    if (Math.abs(first * second - value) < Math.abs(best[0] * best[1] - value)) best = [first, second];
  }
  return best;
}

function rounded(value: number): number {
  return float16Value(float16Bits(value));
}

function scalarFloat16({ op, dtype, shape }: Tensor): number | undefined {
  return op.kind === 'constant' && dtype === 'f16' && shape.length === 0 ? op.data[0] : undefined;
}
