import type { Checkpoint } from '../../../checkpoint/checkpoint.ts';
import { type ConvertOptions, convert, type Model } from '../../../convert/convert.ts';
import { cardOf, componentOf, type NetworkName } from '../../../convert/networks/networks.ts';
import { traitsOf } from '../../../convert/traits.ts';
import { arrangeForCoreAi } from './arrange.ts';
import { coreAiContract } from './coreai-contract.ts';
import { encoders } from './text-encoders.ts';

/**
 * A network of Stable Diffusion XL that gives or reads text, as Core AI alone has it; `undefined` for all others, whose inputs
 * and outputs mean the same everywhere. `text_encoder` stands for all text encoders, which are one model. Throws what `convert`
 * throws.
 */
export function arrangedNetwork(
  checkpoint: Checkpoint,
  network: NetworkName,
  options: Pick<ConvertOptions, 'attention' | 'sizes'>,
): Model | undefined {
  const { part, inputs } = cardOf(network);
  const givesText = part === 'text_encoder';
  if (!traitsOf(checkpoint).isXl || !(givesText || 'encoder_hidden_states' in inputs)) return undefined;
  const models = givesText
    ? encoders.filter((name) => checkpoint.components.has(componentOf(name)))
    : [network];
  const [model] = arrangeForCoreAi(
    checkpoint,
    convert(checkpoint, { ...options, contract: coreAiContract, models }),
  );
  return model;
}
