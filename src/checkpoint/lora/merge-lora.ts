import { basename } from 'node:path';
import { type Context, throwIfInterrupted } from '../../context.ts';
import { UnsupportedModelError } from '../../errors.ts';
import { elementCount } from '../../weights/dtype.ts';
import type { Weight } from '../../weights/weight.ts';
import { type Checkpoint, requireComponent } from '../checkpoint.ts';
import { familyTitles, textWidth } from '../family.ts';
import { findTargets, type Target } from './find-targets.ts';
import { firstNames, leftOut } from './left-out.ts';
import type { LoraChoice } from './lora-argument.ts';
import { loraFamilyTitle } from './lora-family.ts';
import { mergedWeight } from './merged-weight.ts';
import { indexModules } from './module-index.ts';
import { type Lora, openLora } from './open-lora.ts';

/**
 * Merges LoRAs into a checkpoint's UNet and text encoders, one after another, while the weights stream. Changes of
 * layers that the checkpoint lacks are ignored with a note, or refused with `strict`. Closing the result closes the
 * checkpoint and the LoRAs. Throws what `openLora` throws, and `UnsupportedModelError` for a LoRA of another family;
 * the checkpoint stays open then.
 */
export async function withLora(
  checkpoint: Checkpoint,
  choices: readonly (LoraChoice & { readonly name?: string })[],
  { signal }: Context = {},
  { strict = false }: { readonly strict?: boolean | undefined } = {},
): Promise<Checkpoint> {
  const opened: Lora[] = [];
  const close = async () => {
    await Promise.all(opened.map((lora) => lora.close()));
  };
  let merged = checkpoint;
  try {
    for (const { path, scale, name = basename(path) } of choices) {
      throwIfInterrupted(signal);
      const lora = await openLora(path);
      opened.push(lora);
      merged = merge(merged, lora, { name, scale, strict });
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

function merge(
  checkpoint: Checkpoint,
  lora: Lora,
  { name, scale, strict }: { name: string; scale: number; strict: boolean },
): Checkpoint {
  const found = findTargets(checkpoint, lora);
  const { targets } = found;
  if (targets.length === 0) throw nothingMatches(checkpoint, lora);
  for (const target of targets) checkShape(checkpoint, lora, target);
  const left = leftOut(checkpoint, lora, found);
  if (strict && left.length > 0) throw refused(left);
  const notes = [...checkpoint.notes, ...left];
  const record = { name, path: lora.path, scale, layers: scale === 0 ? {} : layersByNetwork(targets) };
  const loras = [...(checkpoint.loras ?? []), record];
  if (scale === 0) return { ...checkpoint, notes, loras };

  const components = new Map(checkpoint.components);
  for (const network of new Set(targets.map((target) => target.network))) {
    const component = requireComponent(checkpoint, network);
    const weights = new Map(component.weights);
    for (const { weight, change } of targets.filter((each) => each.network === network))
      weights.set(weight.name, mergedWeight(weight, change, scale));
    const files = [...new Set([...component.files, lora.path])];
    components.set(network, { ...component, weights, files });
  }
  return { ...checkpoint, components, notes, loras };
}

/** Number of layers that are changed, by network: weight and bias of one count once. */
function layersByNetwork(targets: readonly Target[]): Record<string, number> {
  const layers = Map.groupBy(targets, ({ network }) => network);
  return Object.fromEntries(
    [...layers].map(([network, own]) => [network, new Set(own.map(({ weight }) => layerOf(weight))).size]),
  );
}

function layerOf({ name }: Weight): string {
  return name.replace(/\.(weight|bias)$/, '');
}

function checkShape(
  checkpoint: Checkpoint,
  lora: Lora,
  { module: { module, parts }, weight: { name, shape }, change }: Target,
): void {
  const { rows, columns, magnitude } = change;
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

function refused([problem = '']: readonly string[]): UnsupportedModelError {
  return new UnsupportedModelError({ problem, advice: 'Leave out --strict to merge the rest.' });
}

function nothingMatches(checkpoint: Checkpoint, lora: Lora): UnsupportedModelError {
  const networks = [...new Set(lora.modules.flatMap((module) => module.networks))];
  const present = networks.filter((network) => checkpoint.components.has(network));
  if (present.length === 0) {
    return new UnsupportedModelError({
      problem: `${lora.path} changes only networks that the checkpoint does not have: ${networks.join(', ')}.`,
      details: { 'it has': [...checkpoint.components.keys()].join(', ') },
      advice: 'Use a checkpoint that has them, or leave out the LoRA.',
    });
  }
  const [expected] = present.flatMap((network) => [
    ...indexModules(network, checkpoint.components.get(network)?.weights ?? new Map()).keys(),
  ]);
  return new UnsupportedModelError({
    problem: `${lora.path} is for another family: none of its ${lora.modules.length} layers is in the checkpoint.`,
    details: {
      expected: `layers such as ${expected}`,
      found: firstNames(lora.modules.map(({ module }) => module)),
      ...families(checkpoint, lora),
    },
    advice: useOwnFamily,
  });
}

/** Families of the checkpoint and the LoRA, for errors. */
function families({ family, components }: Checkpoint, lora: Lora): Record<string, string> {
  const unet = components.get('unet');
  const width = unet && textWidth(unet.weights);
  return {
    checkpoint: `${family ? familyTitles[family] : 'unknown'}${width ? `, whose cross_attention_dim is ${width}` : ''}`,
    LoRA: loraFamilyTitle(lora) ?? 'unknown',
  };
}

const useOwnFamily = 'Use a LoRA that was trained for the family of the checkpoint.';
