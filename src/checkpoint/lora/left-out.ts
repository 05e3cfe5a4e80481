import { count } from '../../text.ts';
import type { Checkpoint } from '../checkpoint.ts';
import type { Found, Target } from './find-targets.ts';
import type { Lora, LoraModule } from './open-lora.ts';

/** Notes on parts of a LoRA that are not merged, a sentence each. */
export function leftOut(checkpoint: Checkpoint, lora: Lora, { targets, padded, empty }: Found): string[] {
  const matched = new Set([...targets.map(({ module }) => module), ...empty]);
  const rest = lora.modules.filter((module) => !matched.has(module));
  const isAbsent = ({ networks }: LoraModule) => !networks.some((name) => checkpoint.components.has(name));
  const absent = rest.filter(isAbsent);
  const networks = [...new Set(absent.flatMap((module) => module.networks))];
  const unmatched = rest.filter((module) => !isAbsent(module)).map(({ module }) => module);
  return [
    ...networks.map((network) => {
      const layers = absent.filter((module) => module.networks.includes(network)).length;
      return `${lora.path} also changes the ${network} (${count(layers, 'layer')}), which the checkpoint does not have.`;
    }),
    ...(unmatched.length > 0
      ? [
          `${lora.path} changes ${count(unmatched.length, 'layer')} that the checkpoint does not have: ${firstNames(unmatched)}.`,
        ]
      : []),
    ...(empty.length > 0
      ? [
          `${lora.path} has ${count(empty.length, 'layer')} without any change: ${firstNames(empty.map(({ module }) => module))}.`,
        ]
      : []),
    ...(padded.length > 0
      ? [
          `${lora.path} changes the first convolution for latents only: weights of this UNet's other input channels stay as they are.`,
        ]
      : []),
    ...biasesLeft(lora, targets),
    ...(lora.unknown.length > 0
      ? [
          `${lora.path} has ${count(lora.unknown.length, 'tensor')} outside of the LoRA: ${firstNames(lora.unknown)}.`,
        ]
      : []),
  ];
}

/** Notes changes of biases that the checkpoint's layers do not have. */
function biasesLeft(lora: Lora, targets: readonly Target[]): string[] {
  const biases = new Set(
    targets.filter(({ weight }) => weight.name.endsWith('.bias')).map(({ module }) => module),
  );
  const weights = new Set(targets.map(({ module }) => module));
  const left = [...weights]
    .filter(({ parts }) => parts.has('diff_b') || parts.has('b_norm'))
    .filter((module) => !biases.has(module));
  if (left.length === 0) return [];
  const names = firstNames(left.map(({ module }) => module));
  return [
    `${lora.path} changes the bias of ${count(left.length, 'layer')}, but the checkpoint has none there: ${names}.`,
  ];
}

/** Lists the first names, and the number of the others. */
export function firstNames(names: readonly string[]): string {
  const more = names.length - 3;
  return `${names.slice(0, 3).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
