import { type Family, familyOf, familyTitles } from '../family.ts';
import { readChanges } from './module-change.ts';
import type { Lora } from './open-lora.ts';

/** Family that a LoRA was trained for, by the width of its cross-attention; `undefined` if nothing shows it. */
function loraFamily({ modules }: Lora): Family | undefined {
  const shapes = modules.flatMap((module): [string, { shape: readonly number[] }][] => {
    const down = module.parts.get('down');
    // Only a LoRA's `down` shows whether a layer is a convolution; all kinds show the width of cross-attention.
    if (!down && !module.name.endsWith('attn2_to_k')) return [];
    const { weight } = readChanges(module);
    if (!weight) return [];
    const { rows, columns } = weight;
    return [[`${module.name}.weight`, { shape: [rows, columns, ...(down?.shape.slice(2) ?? [])] }]];
  });
  const family = familyOf(new Map(shapes));
  const hasSecondEncoder = modules.some(({ networks }) => networks.includes('text_encoder_2'));
  return family ?? (hasSecondEncoder ? 'sdxl' : undefined);
}

/** Family that a LoRA was trained for, in words. */
export function loraFamilyTitle(lora: Lora): string | undefined {
  const family = loraFamily(lora);
  if (family) return familyTitles[family];
  const isTransformer = lora.modules.some(({ module }) => transformer.test(module));
  return isTransformer ? 'a transformer such as Flux or Stable Diffusion 3' : undefined;
}

const transformer =
  /double_blocks|joint_blocks|single_(transformer_)?blocks|^transformer\.|^lora_transformer_/;
