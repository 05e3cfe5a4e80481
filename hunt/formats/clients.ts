import { checkClient } from '../../src/bundle/check-clients.ts';
import type { ClientName } from '../../src/bundle/profiles/profile.ts';
import { checkCoreAiFolder } from '../../src/formats/coreai/bundle/check-folder.ts';
import type { Files, Format } from '../format.ts';
import { mutateBytes } from '../mutate-bytes.ts';
import { jsonMutators } from '../mutate-json.ts';
import { mutateWords } from '../mutate-text.ts';
import { assetSeeds, compiledSeeds, onnxSeeds } from './artifact-seeds.ts';
import { checkSentences } from './attempts.ts';
import { bytesOf } from './seeds.ts';

/** Folders that clients load, as `verify --for` reads them. */

async function check(client: ClientName, folder: string): Promise<void> {
  const { problems, mend } = await checkClient(client, folder);
  checkSentences([...problems, ...(mend === undefined ? [] : [mend])]);
}

/** The smallest of some seeds, in a folder. */
async function smallest(seeds: () => Promise<readonly Files[]>, folder: string): Promise<Files> {
  const sizeOf = (files: Files): number => [...files.values()].reduce((sum, { length }) => sum + length, 0);
  const [files = new Map()] = (await seeds()).toSorted((a, b) => sizeOf(a) - sizeOf(b));
  return new Map([...files].map(([name, bytes]) => [`${folder}/${name}`, bytes]));
}

function texts(named: Readonly<Record<string, unknown>>): Files {
  const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
  return new Map(Object.entries(named).map(([name, value]) => [name, bytesOf(text(value))]));
}

const pipeline = {
  'model_index.json': {
    _class_name: 'StableDiffusionPipeline',
    scheduler: ['diffusers', 'EulerDiscreteScheduler'],
    unet: ['diffusers', 'OnnxRuntimeModel'],
  },
  'scheduler/scheduler_config.json': { _class_name: 'EulerDiscreteScheduler', beta_end: 0.012 },
};

function layer(name: string, type: string, data: string): string {
  return `<layer id="0" name="${name}" type="${type}"><data ${data} /><output><port id="0" names="${name}"><dim>-1</dim></port></output></layer>`;
}

const ir = [
  '<?xml version="1.0"?>\n<net name="a" version="11"><layers>',
  layer('sample', 'Parameter', 'shape="?,4,?,?" element_type="f32"'),
  layer('weight', 'Const', 'element_type="f32" shape="4" offset="16" size="16"'),
  layer('out_sample', 'Add', 'auto_broadcast="numpy"'),
  '</layers></net>',
].join('\n');

export const irFolders: Format = {
  name: 'OpenVINO IR',
  seeds: async () => [
    texts({ ...pipeline, 'unet/openvino_model.xml': ir, 'unet/openvino_model.bin': ' '.repeat(32) }),
  ],
  parts: [
    {
      files: /\.xml$/,
      mutators: [mutateWords(['<layer ', '<port ', '<data ', 'names="', '"', '="', '>', ',']), mutateBytes],
    },
    { files: /\.json$/, mutators: jsonMutators },
  ],
  read: (folder) => check('openvino', folder),
};

export const onnxFolders: Format = {
  name: 'ONNX folders',
  seeds: async () => [new Map([...texts(pipeline), ...(await smallest(onnxSeeds, 'unet'))])],
  parts: [{ files: /\.json$/, mutators: jsonMutators }],
  async read(folder) {
    for (const client of ['optimum', 'onnxstack', 'webnn-sd15'] as const) await check(client, folder);
  },
};

export const compiledFolders: Format = {
  name: 'Core ML folders',
  seeds: async () => [await smallest(compiledSeeds, 'Unet.mlmodelc')],
  parts: [{ files: /metadata\.json$/, mutators: jsonMutators }],
  async read(folder) {
    for (const client of ['mochi', 'guernika'] as const) await check(client, folder);
  },
};

const assetFolder = {
  metadata_version: '0.2',
  kind: 'diffusion',
  name: 'sd',
  assets: { unet: 'Unet.aimodel', vae_decoder: 'VAEDecoder.aimodel', text_encoder: 'TextEncoder.aimodel' },
  diffusion: {
    type: 'stable-diffusion',
    prediction_type: 'epsilon',
    image_size: 64,
    scheduler: { training_steps: 1000, beta_start: 0.1, beta_end: 0.2, beta_schedule: 'scaled_linear' },
    decoder_shift_factor: 0,
  },
};

export const assetFolders: Format = {
  name: 'Core AI folders',
  seeds: async () => [
    new Map([
      ...texts({ 'metadata.json': assetFolder, 'vocab.json': '{}', 'merges.txt': '' }),
      ...(await smallest(assetSeeds, 'Unet.aimodel')),
    ]),
  ],
  parts: [{ files: /^metadata\.json$/, mutators: jsonMutators }],
  read: async (folder) => checkSentences(await checkCoreAiFolder(folder)),
};
