import { RequestError } from '../../errors.ts';
import { cast, reshape } from '../../graph/functions.ts';
import type { GraphBuilder } from '../../graph/graph.ts';
import { dimAt, type Shape } from '../../graph/shape.ts';
import type { Tensor } from '../../graph/tensor.ts';
import type { Contract } from './contract.ts';

/** The largest fixed size: the product of two of them still fits the int32 in which Core ML keeps shapes. */
const LARGEST_SIZE = 32_768;

/**
 * The contract of Apple's Core ML packages (apple/ml-stable-diffusion, torch2coreml.py) and of what loads them: fixed
 * sizes, float16 inputs and float32 outputs, token ids as float32, text as [B,C,1,S].
 */
export const appleContract: Contract = {
  name: 'apple',
  fixedSizes: true,

  rows: (count) => count,

  size(fixed, _free, usual) {
    const size = fixed ?? usual;
    if (size !== undefined) return notTooLarge(size);
    throw new RequestError({
      problem: 'the size of the latents is not known: a Core ML model has a fixed size.',
      advice:
        'Convert it together with its UNet, whose config says the size, or give --latent-h and --latent-w.',
    });
  },

  input: {
    numbers: float16Input,
    ids: (builder, name, shape) => builder.input(name, { dtype: 'f32', shape }),
    text: (builder, name, shape) =>
      float16Input(builder, name, [dimAt(shape, 0), dimAt(shape, 2), 1, dimAt(shape, 1)]),
  },

  output: (result) => (result.dtype === 'bool' ? reshape(cast(result, 'f32'), [1, 1, 1, 1]) : result),
};

function notTooLarge(size: number): number {
  if (size <= LARGEST_SIZE) return size;
  throw new RequestError({
    problem: `a fixed size of ${size} is too large for a Core ML model: ${LARGEST_SIZE} is the most.`,
    advice: 'Give a smaller --latent-h, --latent-w or --text-token-sequence-length.',
  });
}

/** An input declared float16; the networks are built in float32, and a rewrite to float16 takes the cast away again. */
function float16Input(builder: GraphBuilder, name: string, shape: Shape): Tensor {
  return cast(builder.input(name, { dtype: 'f16', shape }), 'f32');
}
