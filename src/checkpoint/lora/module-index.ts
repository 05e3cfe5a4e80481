import { UnsupportedModelError } from '../../errors.ts';
import type { Weight } from '../../weights/weight.ts';
import type { Network } from './lora-key.ts';
import { originalUnetNames } from './original-unet-names.ts';

/** Weights of a network's module. */
export interface NetworkModule {
  readonly weight: Weight;
  readonly bias: Weight | undefined;
}

/**
 * Indexes a network's modules by all their names in LoRAs, with underscores for dots. Replacing dots is not reversible
 * (`to_out_0` is `to_out.0`), so the names are derived from the checkpoint's and none is guessed. Throws
 * `UnsupportedModelError` when two weights get the same name.
 */
export function indexModules(
  network: Network,
  weights: ReadonlyMap<string, Weight>,
): ReadonlyMap<string, NetworkModule> {
  const modules = [...weights.values()]
    .filter(({ name }) => name.endsWith('.weight'))
    .map((weight) => ({ weight, module: weight.name.slice(0, -'.weight'.length) }));
  const originals = network === 'unet' ? originalUnetNames(modules.map(({ module }) => module)) : new Map();

  const index = new Map<string, NetworkModule>();
  for (const { module, weight } of modules) {
    const own = { weight, bias: weights.get(`${module}.bias`) };
    for (const name of new Set([module, originals.get(module) ?? module, otherTextName(module)])) {
      const key = name.replaceAll('.', '_');
      const other = index.get(key);
      if (other) throw sameName(key, weight, other.weight);
      index.set(key, own);
    }
  }
  return index;
}

/** The name with or without `text_model.`, which transformers 5 leaves out. */
function otherTextName(module: string): string {
  if (/^(encoder\.layers|embeddings|final_layer_norm)\b/.test(module)) return `text_model.${module}`;
  return module.replace(/^text_model\.(?=(encoder\.layers|embeddings|final_layer_norm)\b)/, '');
}

function sameName(key: string, weight: Weight, other: Weight): UnsupportedModelError {
  return new UnsupportedModelError({
    problem: `two weights of the checkpoint are both called ${key} in a LoRA.`,
    details: { first: `${other.name} in ${other.file}`, second: `${weight.name} in ${weight.file}` },
    advice: 'Convert without the LoRA.',
  });
}
