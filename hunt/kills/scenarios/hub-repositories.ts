import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from '../../../test/support/hub-checkpoint.ts';
import { type FakeRepository, startHub } from '../../../test/support/hub-server.ts';
import { makeRandomWeights } from '../../../test/support/random-weights.ts';
import { autoencoder } from './scenario.ts';

/** A file of weights on the Hub, and the SHA-256 that its copy in the cache is called by. */
export const weights = named(new Uint8Array(5000).fill(7));

function named(bytes: Uint8Array): { readonly bytes: Uint8Array; readonly sha256: string } {
  return { bytes, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/** Starts the Hub of the scenarios, for all processes that begin here. */
export async function startOwnHub(): Promise<{ close(): Promise<void> }> {
  const hub = await startHub();
  for (const [name, repository] of await hubRepositories()) hub.repositories.set(name, repository);
  process.env.HF_ENDPOINT = hub.url;
  return hub;
}

async function hubRepositories(): Promise<ReadonlyMap<string, FakeRepository>> {
  await makeRandomWeights();
  const [config, tensors] = ['config.json', 'diffusion_pytorch_model.safetensors'].map((name) =>
    readFileSync(join(autoencoder, 'vae', name)),
  );
  const index = json({ _class_name: 'StableDiffusionPipeline', vae: ['diffusers', 'AutoencoderKL'] });
  const inPackage = 'original/packages/Unet.mlpackage';
  return new Map([
    [
      'org/model',
      repository({
        'model_index.json': index,
        'vae/config.json': json({ latent_channels: 4 }),
        'vae/diffusion_pytorch_model.safetensors': weights.bytes,
      }),
    ],
    [
      'org/tiny',
      repository({
        'model_index.json': index,
        'vae/config.json': config ?? json({}),
        'vae/diffusion_pytorch_model.safetensors': tensors ?? json({}),
      }),
    ],
    [
      'org/packages',
      repository({
        [`${inPackage}/Manifest.json`]: json({}),
        [`${inPackage}/Data/com.apple.CoreML/model.mlmodel`]: new Uint8Array(50).fill(3),
        [`${inPackage}/Data/com.apple.CoreML/weights/weight.bin`]: new Uint8Array(600).fill(4),
      }),
    ],
  ]);
}

function json(value: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
