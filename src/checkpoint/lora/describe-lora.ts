import { loraFamilyTitle } from './lora-family.ts';
import { type ChangeKind, readChanges } from './module-change.ts';
import { type Lora, openLora } from './open-lora.ts';

/** Naming schemes of LoRAs' tensors. */
export const loraFormats = [
  'PEFT',
  'diffusers',
  'kohya',
  'kohya, with the original names of the UNet',
] as const;

export type LoraFormat = (typeof loraFormats)[number];

/** Facts about a LoRA file: plain data, which can be printed as JSON. Unknown facts are `null`. */
export interface LoraFacts {
  readonly path: string;
  readonly byteLength: number;
  /** Naming scheme of its tensors. */
  readonly format: LoraFormat;
  /** Kinds of its changes; several where it mixes them. */
  readonly kinds: readonly ChangeKind[];
  /** Whether it has magnitudes (DoRA). */
  readonly decomposed: boolean;
  /** Its ranks, in ascending order. */
  readonly ranks: readonly number[];
  /** Family that it was trained for, in words: `Stable Diffusion 1.x`. */
  readonly family: string | null;
  /** Number of weights that it changes, by network; where the file does not name the network, the likely one. */
  readonly networks: Readonly<Record<string, number>>;
  /** Number of weights that it changes. */
  readonly targets: number;
  /** Names of tensors that do not belong to a LoRA. */
  readonly unknown: readonly string[];
  /** Name of the model that it was trained on, as the trainer wrote it. */
  readonly baseModel: string | null;
}

/**
 * Describes a LoRA file from names, shapes and metadata only. Throws what `openLora` throws, and `FileFormatError` for
 * tensors that do not fit each other.
 */
export async function describeLora(path: string): Promise<LoraFacts> {
  const lora = await openLora(path);
  try {
    return factsOf(lora);
  } finally {
    await lora.close();
  }
}

function factsOf(lora: Lora): LoraFacts {
  const changes = lora.modules
    .map(readChanges)
    .flatMap(({ weight, bias }) => [weight, bias])
    .filter((change) => change !== undefined);
  const networks: Record<string, number> = {};
  for (const {
    networks: [network = 'unet'],
  } of lora.modules)
    networks[network] = (networks[network] ?? 0) + 1;
  return {
    path: lora.path,
    byteLength: lora.size,
    format: formatOf(lora),
    kinds: [...new Set(changes.map(({ kind }) => kind))],
    decomposed: changes.some(({ magnitude }) => magnitude),
    ranks: [...new Set(changes.flatMap(({ rank }) => rank ?? []))].sort((a, b) => a - b),
    family: loraFamilyTitle(lora) ?? null,
    networks,
    targets: changes.length,
    unknown: lora.unknown,
    baseModel: lora.metadata.ss_sd_model_name ?? lora.metadata['modelspec.architecture'] ?? null,
  };
}

function formatOf({ modules }: Lora): LoraFormat {
  if (modules.some(({ name }) => /^(input_blocks|output_blocks|middle_block)_/.test(name)))
    return 'kohya, with the original names of the UNet';
  if (modules.some(({ module }) => /^lora_(unet|te\d?)[._]/.test(module))) return 'kohya';
  const isPeft = modules.some(({ parts }) => /\.lora_A\./.test(parts.get('down')?.name ?? ''));
  return isPeft ? 'PEFT' : 'diffusers';
}
