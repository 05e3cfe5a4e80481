import { join } from 'node:path';
import { exists } from '../weights/disk.ts';
import { readJsonObject } from '../weights/python-json.ts';

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

/** Where a setting is: the first of these folders' config.json that has the key. */
const places: {
  readonly [K in keyof ModelSettings]-?: { readonly folders: readonly string[]; readonly key: string };
} = {
  sampleSize: { folders: ['unet', 'unet_chunk1'], key: 'sample_size' },
  textChannels: { folders: ['unet', 'unet_chunk1'], key: 'cross_attention_dim' },
  scalingFactor: { folders: ['vae', 'vae_decoder'], key: 'scaling_factor' },
  vocabularySize: { folders: ['text_encoder'], key: 'vocab_size' },
};

/**
 * Reads what the configs in a checkpoint or an ONNX folder say. Throws `FileFormatError` for a config that is not JSON.
 */
export async function readModelSettings(root: string): Promise<ModelSettings> {
  const found: [string, number][] = [];
  for (const [setting, { folders, key }] of Object.entries(places)) {
    for (const folder of folders) {
      const file = join(root, folder, 'config.json');
      if (!(await exists(file))) continue;
      const { [key]: value } = await readJsonObject(file);
      if (typeof value === 'number') found.push([setting, value]);
    }
  }
  return Object.fromEntries(found);
}
