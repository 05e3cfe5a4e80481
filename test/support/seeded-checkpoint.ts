import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { writeSafetensors } from '../../src/weights/safetensors-writer.ts';
import { type ListedFile, randomTensor } from './random-weights.ts';

const fixtures = join(import.meta.dirname, '../fixtures');

const files = {
  unet: 'diffusion_pytorch_model.safetensors',
  vae: 'diffusion_pytorch_model.safetensors',
  text_encoder: 'model.safetensors',
} as const;

/** Makes a checkpoint of 1.3 MB, the smallest that draws, whose weights are random and its own: they follow from the seed. */
export async function makeSeededCheckpoint(folder: string, seed: number): Promise<string> {
  const list = readFileSync(join(fixtures, 'random-weights/drawing.json'), 'utf8');
  const listed = JSON.parse(list) as Record<string, ListedFile>; // as: the list is ours
  for (const [component, name] of Object.entries(files)) {
    const path = join(folder, component, name);
    mkdirSync(dirname(path), { recursive: true });
    cpSync(join(fixtures, 'drawing', component, 'config.json'), join(folder, component, 'config.json'));
    const { shapes = {}, dtype = 'f16' } = listed[`${component}/${name}`] ?? {};
    const tensors = Object.entries(shapes).map(([tensor, shape]) =>
      randomTensor(`seed ${seed}/${component}`, tensor, shape, dtype),
    );
    await writeSafetensors(path, tensors, { format: 'pt' });
  }
  const components = Object.fromEntries(Object.keys(files).map((name) => [name, ['diffusers', name]]));
  const index = { _class_name: 'StableDiffusionPipeline', ...components };
  writeFileSync(join(folder, 'model_index.json'), JSON.stringify(index));
  return folder;
}
