import { RequestError } from '../../errors.ts';
import { cast, reshape } from '../../graph/functions.ts';
import type { GraphBuilder } from '../../graph/graph.ts';
import { dimAt, type Shape } from '../../graph/shape.ts';
import type { Tensor } from '../../graph/tensor.ts';
import type { Contract } from './contract.ts';

/** The largest fixed size: Core ML stores shapes as int32, which the product of two such sizes still fits. */
const LARGEST_SIZE = 32_768;

/**
 * The contract of Apple's Core ML packages (apple/ml-stable-diffusion, torch2coreml.py) and the apps that load them:
 * fixed sizes, float16 inputs and float32 outputs, token ids as float32, text as [B,C,1,S].
 */
export const appleContract: Contract = {
  name: 'apple',
  fixedSizes: true,

  rows: (count) => count,

  size(fixed, _free, usual) {
    const size = fixed ?? usual;
    if (size !== undefined) return notTooLarge(size);
    throw new RequestError({
      problem: 'the size of the latents is unknown, and a Core ML model needs a fixed size.',
      advice:
        'Convert it together with its UNet, whose config has the size, or give --latent-h and --latent-w.',
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
    problem: `a fixed size of ${size} is too large for a Core ML model: the maximum is ${LARGEST_SIZE}.`,
    advice: 'Give a smaller --latent-h, --latent-w or --text-token-sequence-length.',
  });
}

/** Declares a float16 input. Networks are built in float32, so it is cast; the rewrite to float16 removes the cast. */
function float16Input(builder: GraphBuilder, name: string, shape: Shape): Tensor {
  return cast(builder.input(name, { dtype: 'f16', shape }), 'f32');
}
