/**
 * Writes what the checks in Python read. ONNX: every checkpoint of one family in every precision and with every
 * attention, and each other network once; those whose sizes are free in OUT/free, those whose sizes are fixed in
 * OUT/fixed. Core ML, each package with what it compiles to beside it, in OUT/coreml: every network, a UNet in chunks,
 * UNets with every attention, weights in every compressed form.
 *
 *     node scripts/ci-artifacts.ts OUT
 */
import { join } from 'node:path';
import { attentionImplementations, type ConvertOptions, compile, convert, precisions } from '../src/index.ts';
import { makeRandomWeights } from '../test/support/random-weights.ts';

const [out] = process.argv.slice(2);
if (!out) throw new Error('usage: node scripts/ci-artifacts.ts OUT');

await makeRandomWeights();
const root = join(import.meta.dirname, '..');
const fixture = (name: string): string => join(root, 'test/fixtures', name);
const small = { latentHeight: 16, latentWidth: 16 };

const shapes = { modelVersion: join(root, 'models/sd-shapes') };
const wide = { modelVersion: fixture('sd15-wide-f16') };
const sd21 = { modelVersion: fixture('sd21') };

/** Networks of other kinds, for both formats. */
const networks: Readonly<Record<string, ConvertOptions>> = {
  sdxl: { modelVersion: fixture('sdxl') },
  'sdxl-controlled': { modelVersion: fixture('sdxl'), controlledUnet: true, models: ['unet'] },
  controlnet: {
    ...wide,
    controlnets: [fixture('controlnet-sd15')],
    controlledUnet: true,
    models: ['unet'],
  },
  'safety-checker': { modelVersion: fixture('safety-checker') },
  'tiny-autoencoder': { modelVersion: fixture('tiny-autoencoder'), sizes: small },
  'palettes-4': { ...wide, models: ['unet'], quantization: { bits: 4 } },
  'palettes-6': { ...shapes, models: ['text_encoder', 'unet'], quantization: { bits: 6 } },
  'linear-8': { ...shapes, models: ['text_encoder', 'unet'], quantization: { bits: 8, mode: 'linear' } },
};

/** What only Core ML has. */
const packages: Readonly<Record<string, ConvertOptions>> = {
  'sd-shapes-chunks': { ...shapes, maxChunkBytes: 6e6 },
  'sd15-wide': wide,
  sd21,
  ...Object.fromEntries(
    (['ORIGINAL', 'SPLIT_EINSUM_V2'] as const).flatMap((attention) => [
      [`sd15-wide-${attention}`, { ...wide, attention, models: ['unet'] }],
      [`sd21-${attention}`, { ...sd21, attention, models: ['unet'] }],
    ]),
  ),
  'palettes-6-chunks': { ...wide, models: ['unet'], quantization: { bits: 6 }, maxChunkBytes: 5e6 },
  'grouped-palettes-3': {
    ...{ ...wide, models: ['unet'], deployment: 'macOS15' },
    quantization: { bits: 3, groupSize: 16, int8Palette: true },
  },
};

for (const [name, options] of Object.entries({ 'sd-shapes': shapes, 'sd15-wide': wide, sd21 })) {
  for (const attention of attentionImplementations) {
    for (const precision of precisions)
      await writeOnnx([name, attention, precision].join('-'), { ...options, attention, precision });
  }
}
for (const [name, options] of Object.entries(networks)) await writeOnnx(name, options);
for (const [name, options] of Object.entries({ ...networks, ...packages }))
  await writePackages(name, options);

async function writeOnnx(name: string, options: ConvertOptions): Promise<void> {
  const output = join(out ?? '', options.attention === 'SPLIT_EINSUM_V2' ? 'fixed' : 'free', name);
  const { artifacts } = await convert({ ...options, sizes: {}, output, targets: ['onnx'] });
  console.log(`${output}: ${artifacts.map((each) => each.name).join(', ')}`);
}

async function writePackages(name: string, options: ConvertOptions): Promise<void> {
  const output = join(out ?? '', 'coreml', name);
  const { artifacts } = await convert({ ...options, output, targets: ['coreml'], bundle: false });
  for (const { path } of artifacts)
    await compile({ package: join(output, path), compiler: 'own', force: false });
  console.log(`${output}: ${artifacts.map((each) => each.name).join(', ')}`);
}
