/**
 * Writes a checkpoint of real sizes with random weights: of Stable Diffusion 1.5 4.3 GB, or 2.1 GB in float16; of XL 13.9 GB
 * or 6.9 GB.
 *
 *     node benchmarks/make-full-size-checkpoint.ts OUT [--model sd15|sdxl] [--dtype f32|f16]
 */
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { writeSafetensors } from '../src/weights/safetensors-writer.ts';
import { type FullSizeComponent, fullSizeComponents } from './full-size.ts';
import { type FloatDType, randomWeight } from './random-weight.ts';

/** A checkpoint that gives what has no weights. */
const small = fileURLToPath(new URL('../models/sd-shapes', import.meta.url));
const families = fileURLToPath(new URL('../assets/families', import.meta.url));

/** Writes the checkpoint to a folder: SD 1.5's components unless others are given. */
export async function makeFullSizeCheckpoint(
  folder: string,
  dtype: FloatDType,
  components: Readonly<Record<string, FullSizeComponent>> = fullSizeComponents('sd15'),
): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const isXl = 'text_encoder_2' in components;
  cpSync(join(isXl ? join(families, 'sdxl') : small, 'model_index.json'), join(folder, 'model_index.json'));
  for (const part of ['scheduler', 'tokenizer'])
    cpSync(join(small, part), join(folder, part), { recursive: true });
  if (isXl) cpSync(join(small, 'tokenizer'), join(folder, 'tokenizer_2'), { recursive: true });
  for (const [name, { config, weights }] of Object.entries(components)) {
    mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, name, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
    const file = name.startsWith('text_encoder')
      ? 'model.safetensors'
      : 'diffusion_pytorch_model.safetensors';
    const tensors = Object.entries(weights).map(([weight, shape]) => randomWeight(weight, shape, dtype));
    await writeSafetensors(join(folder, name, file), tensors, { format: 'pt' });
  }
}

if (import.meta.main) {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { dtype: { type: 'string', default: 'f32' }, model: { type: 'string', default: 'sd15' } },
  });
  const [out] = positionals;
  const { dtype, model } = values;
  const isKnown = (dtype === 'f32' || dtype === 'f16') && (model === 'sd15' || model === 'sdxl');
  if (!out || positionals.length > 1 || !isKnown) {
    console.error(
      'usage: node benchmarks/make-full-size-checkpoint.ts OUT [--model sd15|sdxl] [--dtype f32|f16]',
    );
    process.exit(1);
  }
  const start = performance.now();
  await makeFullSizeCheckpoint(out, dtype, fullSizeComponents(model));
  console.log(`${out}: written in ${((performance.now() - start) / 1000).toFixed(1)} s`);
}
