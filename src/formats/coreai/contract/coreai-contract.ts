import { appleContract } from '../../../convert/contracts/apple.ts';
import type { Contract } from '../../../convert/contracts/contract.ts';
import { optimumContract } from '../../../convert/contracts/optimum.ts';
import { RequestError } from '../../../errors.ts';
import { cast, reshape } from '../../../graph/functions.ts';
import { dimAt } from '../../../graph/shape.ts';

/**
 * The contract of Apple's Core AI pipelines (apple/coreai-models, StableDiffusionPipeline.swift): fixed sizes, token ids
 * int32, text as [B,S,C], all other numbers float32. Clients give inputs by position, so networks have the ports and the order
 * of Apple's Core ML packages; `arrangeForCoreAi` makes of the networks what the pipelines load.
 */
export const coreAiContract: Contract = {
  ...appleContract,

  size(fixed, _free, usual) {
    const size = fixed ?? usual;
    if (size !== undefined) return size;
    throw new RequestError({
      problem: 'the size of the latents is unknown, and a Core AI model needs a fixed size.',
      advice:
        'Convert it together with its UNet, whose config has the size, or give --latent-h and --latent-w.',
    });
  },

  input: {
    ...optimumContract.input,
    ids: (builder, name, shape) => builder.input(name, { dtype: 'i32', shape }),
  },

  output: (result) =>
    result.dtype === 'bool' ? reshape(cast(result, 'f32'), [dimAt(result.shape, 0)]) : result,
};
