/**
 * Writes a checkpoint of Stable Diffusion 1.5's real sizes with random weights: 4.3 GB, or 2.1 GB in float16.
 *
 *     node benchmarks/make-full-size-checkpoint.ts OUT [--dtype f32|f16]
 */
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { writeSafetensors } from '../src/weights/safetensors-writer.ts';
import { type FullSizeComponent, fullSizeComponents } from './full-size.ts';
import { type FloatDType, randomWeight } from './random-weight.ts';

/** A checkpoint of the same layout, which gives what has no weights. */
const model = fileURLToPath(new URL('../models/sd-shapes', import.meta.url));

/** Writes the checkpoint to a folder: SD 1.5's components unless others are given. */
export async function makeFullSizeCheckpoint(
  folder: string,
  dtype: FloatDType,
  components: Readonly<Record<string, FullSizeComponent>> = fullSizeComponents('sd15'),
): Promise<void> {
  mkdirSync(folder, { recursive: true });
  for (const part of ['model_index.json', 'scheduler', 'tokenizer']) {
    cpSync(join(model, part), join(folder, part), { recursive: true });
  }
  for (const [name, { config, weights }] of Object.entries(components)) {
    mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, name, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
    const file = name === 'text_encoder' ? 'model.safetensors' : 'diffusion_pytorch_model.safetensors';
    const tensors = Object.entries(weights).map(([weight, shape]) => randomWeight(weight, shape, dtype));
    await writeSafetensors(join(folder, name, file), tensors, { format: 'pt' });
  }
}

if (import.meta.main) {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { dtype: { type: 'string', default: 'f32' } },
  });
  const [out] = positionals;
  const { dtype } = values;
  if (!out || positionals.length > 1 || (dtype !== 'f32' && dtype !== 'f16')) {
    console.error('usage: node benchmarks/make-full-size-checkpoint.ts OUT [--dtype f32|f16]');
    process.exit(1);
  }
  const start = performance.now();
  await makeFullSizeCheckpoint(out, dtype);
  console.log(`${out}: written in ${((performance.now() - start) / 1000).toFixed(1)} s`);
}
