import { join } from 'node:path';
import { nameOf } from '../formats/artifact-id.ts';
import { exists } from '../io/disk.ts';
import { type JsonObject, readJsonObject } from '../io/python-json.ts';

/** What realistic inputs depend on and a model's file does not say; what no config says is left out. */
export interface ModelSettings {
  /** Height and width of the latents that the UNet was trained on. */
  readonly sampleSize?: number;
  /** Channels of the hidden states that the UNet attends to. */
  readonly textChannels?: number;
  /** Standard deviation of the VAE's latents is 1 / scalingFactor. */
  readonly scalingFactor?: number;
  /** Token ids are below it. */
  readonly vocabularySize?: number;
}

const unets = (['unet', 'control-unet', 'refiner'] as const).flatMap((network) => [
  nameOf({ network }),
  nameOf({ network, chunk: { index: 1 } }),
]);

/** Where a setting is: the first of these folders' config.json that has the key. */
const places: {
  readonly [K in keyof ModelSettings]-?: { readonly folders: readonly string[]; readonly key: string };
} = {
  sampleSize: { folders: unets, key: 'sample_size' },
  textChannels: { folders: unets, key: 'cross_attention_dim' },
  scalingFactor: { folders: ['vae', 'vae_decoder'], key: 'scaling_factor' },
  vocabularySize: { folders: ['text_encoder', 'text_encoder_2'], key: 'vocab_size' },
};

/**
 * Reads what the configs in a checkpoint or an ONNX folder say. Throws `FileFormatError` for a config that is not JSON.
 */
export async function readModelSettings(root: string): Promise<ModelSettings> {
  const folders = new Set(Object.values(places).flatMap((place) => place.folders));
  const configs = new Map<string, JsonObject>();
  for (const folder of folders) {
    const file = join(root, folder, 'config.json');
    if (await exists(file)) configs.set(folder, await readJsonObject(file));
  }
  return modelSettings(configs);
}

/** What configs say, by the folders they belong to. */
export function modelSettings(configs: ReadonlyMap<string, JsonObject>): ModelSettings {
  const found: [string, number][] = [];
  for (const [setting, { folders, key }] of Object.entries(places)) {
    const values = folders.map((folder) => configs.get(folder)?.[key]);
    const value = values.find((each) => typeof each === 'number');
    if (value !== undefined) found.push([setting, value]);
  }
  return Object.fromEntries(found);
}
