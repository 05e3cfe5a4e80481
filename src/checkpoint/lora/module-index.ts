import { UnsupportedModelError } from '../../errors.ts';
import type { Weight } from '../../weights/weight.ts';
import type { Network } from './lora-key.ts';
import { originalUnetNames } from './original-unet-names.ts';

/** What a module of a network has of weights. */
export interface NetworkModule {
  readonly weight: Weight;
  readonly bias: Weight | undefined;
}

/**
 * A network's modules by every name that LoRAs have for them, underscores for dots. Underscores for dots cannot be undone
 * (`to_out_0` is `to_out.0`), so the names are made from the checkpoint's own, and none is guessed. Throws `UnsupportedModelError` when two weights get
 * the same name.
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

/** transformers 5 leaves out what its text encoders were wrapped in. */
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
