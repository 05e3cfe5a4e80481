import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sdShapes } from './sd-shapes.ts';

const fixtures = join(import.meta.dirname, '../fixtures');

/** What each part is called in model_index.json, and where it is. */
const parts = {
  text_encoder: ['transformers', 'CLIPTextModel', join(fixtures, 'sdxl/text_encoder')],
  text_encoder_2: ['transformers', 'CLIPTextModelWithProjection', join(fixtures, 'sdxl/text_encoder_2')],
  unet: ['diffusers', 'UNet2DConditionModel', join(fixtures, 'drawing/xl-unet')],
  vae: ['diffusers', 'AutoencoderKL', join(fixtures, 'sdxl/vae')],
  tokenizer: ['transformers', 'CLIPTokenizer', join(sdShapes, 'tokenizer')],
  tokenizer_2: ['transformers', 'CLIPTokenizer', join(sdShapes, 'tokenizer')],
  scheduler: ['diffusers', 'EulerDiscreteScheduler', join(sdShapes, 'scheduler')],
} as const;

/** Writes a tiny checkpoint of Stable Diffusion XL that is complete, with random weights. */
export function writeXlCheckpoint(folder: string): string {
  mkdirSync(folder, { recursive: true });
  const index: Record<string, unknown> = { _class_name: 'StableDiffusionXLPipeline' };
  for (const [name, [library, className, from]] of Object.entries(parts)) {
    cpSync(from, join(folder, name), { recursive: true });
    index[name] = [library, className];
  }
  writeFileSync(join(folder, 'model_index.json'), JSON.stringify(index));
  return folder;
}
