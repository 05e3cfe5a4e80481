import { type Context, throwIfInterrupted } from '../../context.ts';
import { FileFormatError, UnsupportedModelError } from '../../errors.ts';
import { count } from '../../text.ts';
import { elementCount } from '../../weights/dtype.ts';
import type { Weight } from '../../weights/weight.ts';
import { type Checkpoint, requireComponent } from '../checkpoint.ts';
import { familyTitles } from '../family.ts';
import type { LoraChoice } from './lora-argument.ts';
import { loraFamilyTitle } from './lora-family.ts';
import type { Network } from './lora-key.ts';
import { mergedWeight } from './merged-weight.ts';
import { type Change, readChange } from './module-change.ts';
import { indexModules } from './module-index.ts';
import { type Lora, type LoraModule, openLora } from './open-lora.ts';

/**
 * The checkpoint with LoRAs merged into its UNet and text encoders, one after another; the numbers are computed as they
 * stream. What a LoRA has and the checkpoint has not is left out and said in `notes`. Closing it closes the checkpoint
 * and the LoRAs. Throws what `openLora` throws, and `UnsupportedModelError` for a LoRA of another family; the checkpoint
 * stays open then.
 */
export async function withLora(
  checkpoint: Checkpoint,
  choices: readonly LoraChoice[],
  { signal }: Context = {},
): Promise<Checkpoint> {
  const opened: Lora[] = [];
  const close = async () => {
    await Promise.all(opened.map((lora) => lora.close()));
  };
  let merged = checkpoint;
  try {
    for (const { path, scale } of choices) {
      throwIfInterrupted(signal);
      const lora = await openLora(path);
      opened.push(lora);
      merged = merge(merged, lora, scale);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    ...merged,
    async close() {
      await Promise.all([checkpoint.close(), close()]);
    },
  };
}

/** A module of the LoRA and the weight that it changes. */
interface Target {
  readonly network: Network;
  readonly module: LoraModule;
  readonly weight: Weight;
}

function merge(checkpoint: Checkpoint, lora: Lora, scale: number): Checkpoint {
  const targets = findTargets(checkpoint, lora);
  if (targets.length === 0) throw nothingMatches(checkpoint, lora);
  const changes = targets.map((target) => ({ ...target, change: readChange(target.module) }));
  for (const { module, weight, change } of changes) checkShape(checkpoint, lora, module, weight, change);
  const notes = [...checkpoint.notes, ...leftOut(checkpoint, lora, targets)];
  if (scale === 0) return { ...checkpoint, notes };

  const components = new Map(checkpoint.components);
  for (const network of new Set(targets.map((target) => target.network))) {
    const component = requireComponent(checkpoint, network);
    const weights = new Map(component.weights);
    for (const { weight, change } of changes.filter((each) => each.network === network))
      weights.set(weight.name, mergedWeight(weight, change, scale));
    const files = [...new Set([...component.files, lora.path])];
    components.set(network, { ...component, weights, files });
  }
  return { ...checkpoint, components, notes };
}

function findTargets(checkpoint: Checkpoint, lora: Lora): readonly Target[] {
  const indexes = new Map<Network, ReadonlyMap<string, Weight>>();
  for (const network of new Set(lora.modules.flatMap(({ networks }) => networks))) {
    const component = checkpoint.components.get(network);
    if (component) indexes.set(network, indexModules(network, component.weights));
  }
  const found = new Map<Weight, Target>();
  for (const module of lora.modules) {
    for (const network of module.networks) {
      const weight = indexes.get(network)?.get(module.name);
      if (!weight) continue;
      const other = found.get(weight);
      if (other) throw changedTwice(lora, weight, other.module, module);
      found.set(weight, { network, module, weight });
      break;
    }
  }
  return [...found.values()];
}

function checkShape(
  checkpoint: Checkpoint,
  lora: Lora,
  { module, parts }: LoraModule,
  { name, shape }: Weight,
  { rows, columns, magnitude }: Change,
): void {
  const fits = rows === shape[0] && columns === elementCount(shape.slice(1));
  const lengths = magnitude?.by === 'input' ? elementCount(magnitude.weight.shape) : shape[1];
  if (fits && lengths === shape[1]) return;
  throw new UnsupportedModelError({
    problem: `${lora.path} does not fit the checkpoint: a weight has another shape.`,
    details: {
      module,
      expected: `[${shape}], the shape of ${name}`,
      found: [...parts.values()]
        .map((part) => `${part.name.slice(module.length)} [${part.shape}]`)
        .join(', '),
      ...families(checkpoint, lora),
    },
    advice: useOwnFamily,
  });
}

/** What the LoRA has and the checkpoint has not, a sentence each. */
function leftOut(checkpoint: Checkpoint, lora: Lora, targets: readonly Target[]): string[] {
  const matched = new Set(targets.map(({ module }) => module));
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
          `${lora.path} changes ${count(unmatched.length, 'layer')} that the checkpoint does not have: ${some(unmatched)}.`,
        ]
      : []),
    ...(lora.unknown.length > 0
      ? [`${lora.path} has ${count(lora.unknown.length, 'tensor')} of no LoRA: ${some(lora.unknown)}.`]
      : []),
  ];
}

function nothingMatches(checkpoint: Checkpoint, lora: Lora): UnsupportedModelError {
  const networks = [...new Set(lora.modules.flatMap((module) => module.networks))];
  const present = networks.filter((network) => checkpoint.components.has(network));
  if (present.length === 0) {
    return new UnsupportedModelError({
      problem: `${lora.path} changes only what the checkpoint does not have: ${networks.join(', ')}.`,
      details: { 'it has': [...checkpoint.components.keys()].join(', ') },
      advice: 'Use a checkpoint that has it, or leave out the LoRA.',
    });
  }
  const [expected] = present.flatMap((network) => [
    ...indexModules(network, checkpoint.components.get(network)?.weights ?? new Map()).keys(),
  ]);
  return new UnsupportedModelError({
    problem: `${lora.path} is for another family: none of its ${lora.modules.length} layers is in the checkpoint.`,
    details: {
      expected: `layers such as ${expected}`,
      found: some(lora.modules.map(({ module }) => module)),
      ...families(checkpoint, lora),
    },
    advice: useOwnFamily,
  });
}

/** Which family each of the two is of, and what shows it. */
function families({ family, components }: Checkpoint, lora: Lora): Record<string, string> {
  const width = textWidth([...(components.get('unet')?.weights.values() ?? [])]);
  return {
    checkpoint: `${family ? familyTitles[family] : 'unknown'}${width ? `, which attends to text of ${width} channels` : ''}`,
    LoRA: loraFamilyTitle(lora) ?? 'unknown',
  };
}

function textWidth(weights: readonly Weight[]): number | undefined {
  return weights.find(({ name }) => name.endsWith('attn2.to_k.weight'))?.shape[1];
}

const useOwnFamily = 'Use a LoRA that was trained for the family of the checkpoint.';

function changedTwice(lora: Lora, weight: Weight, first: LoraModule, second: LoraModule): FileFormatError {
  return new FileFormatError({
    problem: `${lora.path} changes a weight twice, under two names.`,
    details: { weight: weight.name, first: first.module, second: second.module },
    advice: 'The file was put together from two. Use the LoRA as its author published it.',
  });
}

function some(names: readonly string[]): string {
  const more = names.length - 3;
  return `${names.slice(0, 3).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
