import { cpSync, rmSync } from 'node:fs';
import { basename } from 'node:path';
import { expect, test } from 'vitest';
import type { ModelSources } from '../../src/checkpoint/model-sources.ts';
import { openModels } from '../../src/checkpoint/open-models.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();
const modelVersion = 'models/sd-shapes';

async function opened(sources: Partial<ModelSources>) {
  const checkpoint = await openModels({ modelVersion, ...sources }, new Map(), {});
  await checkpoint.close();
  return checkpoint;
}

test('a network that a folder names and does not have is said to be missing', async () => {
  cpSync(modelVersion, at('partial'), { recursive: true });
  rmSync(at('partial/unet'), { recursive: true });
  const { notes } = await opened({ modelVersion: at('partial') });
  expect(notes).toEqual(['partial has no unet: the rest is converted.']);
  expect((await opened({})).notes).toEqual([]);
});

test('a VAE given beside a folder that lacks its own is not missed', async () => {
  cpSync(modelVersion, at('no-vae'), { recursive: true });
  rmSync(at('no-vae/vae'), { recursive: true });
  const { notes } = await opened({ modelVersion: at('no-vae'), customVaeVersion: `${modelVersion}/vae` });
  expect(notes).toEqual([]);
});

test('a part from a single file is called like the file, without its ending', async () => {
  const file = `${modelVersion}/vae/diffusion_pytorch_model.safetensors`;
  const { components } = await opened({ customVaeVersion: file });
  expect(components.get('vae')?.id).toBe(basename(file, '.safetensors'));
});
