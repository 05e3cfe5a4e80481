import { join } from 'node:path';
import { configBeside } from '../../src/checkpoint/single-file/yaml-beside.ts';
import { readPicture } from '../../src/commands/drawing/read-picture.ts';
import { verify } from '../../src/commands/verify.ts';
import { placeInOutput, readProvenance, recordOf, updateProvenance } from '../../src/formats/provenance.ts';
import { encodePng } from '../../src/generate/png.ts';
import { readTextualInversion } from '../../src/generate/prompt/read-textual-inversion.ts';
import { withTexts } from '../../src/io/png-text.ts';
import { choicesOf, readAnalysis } from '../../src/mixed-bits/analysis.ts';
import { planRecipe, readRecipe } from '../../src/mixed-bits/recipe.ts';
import { curveOf } from '../../src/report/facts/curve.ts';
import type { Files, Format } from '../format.ts';
import { mutateBytes } from '../mutate-bytes.ts';
import { jsonMutators } from '../mutate-json.ts';
import { mutateWords } from '../mutate-text.ts';
import { attempts, inspectAndDescribe } from './attempts.ts';
import { mutateChunks } from './png-chunks.ts';
import { mutateHeader } from './safetensors-header.ts';
import { bytesOf, eachFile } from './seeds.ts';

function one(name: string, value: unknown): Files {
  return new Map([[name, bytesOf(typeof value === 'string' ? value : JSON.stringify(value))]]);
}

const sha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

export const provenance: Format = {
  name: 'provenance',
  seeds: async () => [
    new Map([
      ...one('sdconvert.json', {
        sdconvert: '0.1.0',
        checkpoint: { name: 'sd', components: { unet: '0123456789abcdef' } },
        pending: ['onnx/vae'],
        artifacts: {
          'onnx/unet': {
            version: '0.1.0',
            source: { 'unet/config.json': sha256 },
            options: { precision: 'float16', attention: 'ORIGINAL' },
            files: [{ name: 'model.onnx', byteLength: 0, sha256 }],
            findings: [{ problem: 'huge', weight: 'w', elements: 4, value: 1e30 }],
          },
        },
      }),
      ['onnx/unet/model.onnx', new Uint8Array()],
    ]),
  ],
  parts: [{ files: /^sdconvert\.json$/, mutators: jsonMutators }],
  async read(folder) {
    const path = join(folder, 'onnx', 'unet');
    await attempts([
      () => readProvenance(folder),
      () => verify({ path: folder }),
      () => inspectAndDescribe(folder),
      async () => {
        const place = await placeInOutput(path);
        if (place) await recordOf(place);
      },
      () => updateProvenance(folder, { gone: ['onnx/unet'], pending: ['onnx/vae'] }),
    ]);
  },
};

export const recipes: Format = {
  name: 'recipes',
  seeds: async () => [
    one('recipe.json', { conv_out: 8, 'down_blocks.0.attentions.0.proj_in.weight': 4, 'mid_block.to_q': 16 }),
    one('recipe.json', { recipes: { 'recipe_4.5_bit': { conv_out: 8, conv_in: 1 } }, model_version: 'sd' }),
  ],
  parts: [{ files: /./, mutators: jsonMutators }],
  async read(folder) {
    const plan = planRecipe(await readRecipe(join(folder, 'recipe.json')));
    plan({ name: 'conv_out.weight', shape: [4, 4], outputAxis: 0, inputAxis: 1 });
  },
};

const measured = {
  model: { 'model.onnx': sha256 },
  inputs: ['“a prompt”, step 2 of 20'],
  bits: [4, 8],
  peak: 3.5,
};

export const analyses: Format = {
  name: 'analyses',
  seeds: async () => [
    one('analysis.json', {
      measured,
      weights: { 'conv_in.weight': { elements: 100, bytes: 200, errors: { 4: 0.5, 8: 1e-5 } } },
    }),
  ],
  parts: [{ files: /./, mutators: jsonMutators }],
  async read(folder) {
    const analysis = await readAnalysis(join(folder, 'analysis.json'), measured);
    if (!analysis) return;
    choicesOf(analysis, (_, bits) => bits * 10);
    curveOf(analysis, undefined);
  },
};

export const originalConfigs: Format = {
  name: 'original configs',
  seeds: async () => [
    one(
      'model.yaml',
      'model:\n  target: ldm.models.diffusion.ddpm.LatentDiffusion\n  params:\n    parameterization: "v"\n    scale_factor: 0.18215\n    image_size: 64\n    unet_config:\n      target: x\n      params: { num_heads: 8, num_head_channels: 64 }\n',
    ),
  ],
  parts: [
    {
      files: /./,
      mutators: [mutateWords(['&a', '*a', '!!js/function', '<<:', '- ', '{', '|', '---\n']), mutateBytes],
    },
  ],
  read: (folder) => configBeside(join(folder, 'model.safetensors')),
};

export const textualInversions: Format = {
  name: 'textual inversions',
  seeds: async () =>
    eachFile(
      'test/fixtures/textual-inversion',
      /(web-ui|diffusers|xl)\.safetensors$/,
      () => 'it.safetensors',
    ),
  parts: [{ files: /./, mutators: [mutateHeader, mutateHeader, mutateBytes] }],
  read: (folder) => readTextualInversion({ file: join(folder, 'it.safetensors') }),
};

export const png: Format = {
  name: 'PNG',
  async seeds() {
    const data = Uint8Array.from({ length: 16 * 16 * 3 }, (_, index) => (index * 37) % 256);
    const picture = encodePng({ width: 16, height: 16, channels: 3, data });
    return [new Map([['image.png', withTexts(picture, { parameters: 'a cat\nSteps: 20', Title: '猫' })]])];
  },
  parts: [{ files: /./, mutators: [mutateChunks, mutateChunks, mutateChunks, mutateBytes] }],
  async read(folder) {
    const path = join(folder, 'image.png');
    await attempts([() => readPicture(path), () => inspectAndDescribe(path)]);
  },
};
