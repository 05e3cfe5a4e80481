import { symbol } from '../../graph/dim.ts';
import { reshape, transpose } from '../../graph/functions.ts';
import { dimAt } from '../../graph/shape.ts';
import type { Tensor } from '../../graph/tensor.ts';
import type { Contract } from './contract.ts';

/**
 * The contract of optimum's ONNX pipelines: float32 inputs and outputs, token ids int64, text as [B,S,C], batch and
 * (unless fixed) height and width free.
 */
export const optimumContract: Contract = {
  name: 'optimum',
  fixedSizes: false,

  rows: () => symbol('batch_size'),

  size: (fixed, free) => fixed ?? symbol(free),

  input: {
    numbers: (builder, name, shape) => builder.input(name, { dtype: 'f32', shape }),
    ids: (builder, name, shape) => builder.input(name, { dtype: 'i64', shape }),
    text: (builder, name, shape) => channelsFirst(builder.input(name, { dtype: 'f32', shape })),
  },

  output: (result) => (result.dtype === 'bool' ? reshape(result, [dimAt(result.shape, 0)]) : result),
};

/** Tokens [B,S,C] → [B,C,1,S], as the networks read them. */
function channelsFirst(tokens: Tensor): Tensor {
  const { shape } = tokens;
  return reshape(transpose(tokens, [0, 2, 1]), [dimAt(shape, 0), dimAt(shape, 2), 1, dimAt(shape, 1)]);
}
