import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NetworkKind } from '../../src/convert/networks/networks.ts';
import { placeOfTokenizer, readSettings } from '../../src/generate/drawing-settings.ts';
import { schedulerIn } from '../../src/generate/read-scheduler.ts';
import { readModelSettings } from '../../src/validate/model-settings.ts';
import { inputSizes, realisticCases } from '../../src/validate/realistic-inputs.ts';
import type { Files, Format } from '../format.ts';
import { jsonMutators } from '../mutate-json.ts';
import { attempts } from './attempts.ts';
import { bytesOf, inProject } from './seeds.ts';

/** Where a conversion has the small files of a checkpoint. */
const places: readonly (readonly [name: string, from: string])[] = [
  ['onnx/unet/config.json', 'unet/config.json'],
  ['onnx/vae_decoder/config.json', 'vae/config.json'],
  ['onnx/text_encoder/config.json', 'text_encoder/config.json'],
  ['onnx/scheduler/scheduler_config.json', 'scheduler/scheduler_config.json'],
  ['onnx/model_index.json', 'model_index.json'],
];

const record = {
  sdconvert: '0.1.0',
  pipeline: {
    scheduler: { _class_name: 'EulerDiscreteScheduler' },
    latentScale: { factor: 0.18215, shift: 0, mean: [0, 0, 0, 0], std: [1, 1, 1, 1] },
    padding: { tokenizer: '!' },
    zerosForEmptyPrompt: false,
  },
  artifacts: {},
};

const networks: readonly NetworkKind[] = ['unet', 'text_encoder', 'vae_decoder'];

/** What validating and drawing read beside the models of a conversion. */
export const modelSettings: Format = {
  name: 'settings of models',
  seeds: async (): Promise<Files[]> => [
    new Map([
      ...places.map(([name, from]): [string, Uint8Array] => [
        name,
        new Uint8Array(readFileSync(inProject('models/sd-shapes', from))),
      ]),
      ['sdconvert.json', bytesOf(JSON.stringify(record))],
    ]),
  ],
  parts: [{ files: /json$/, mutators: jsonMutators }],
  async read(folder) {
    const onnx = join(folder, 'onnx');
    const drawing = { path: onnx, output: folder, models: new Map() };
    await attempts([
      async () => {
        const settings = await readModelSettings(onnx);
        for (const network of networks) {
          const sizes = inputSizes(network, settings, []);
          // Large pictures are meant, and cost what they cost.
          if (sizes.latentHeight <= 64) realisticCases(network, { ...sizes, textChannels: 8 }, settings);
        }
      },
      async () => {
        const { scheduler, schedulerFile } = await readSettings(drawing, 'sd1', {});
        schedulerIn(schedulerFile, scheduler).setTimesteps(10);
      },
      () => placeOfTokenizer(drawing, 'tokenizer', 'sd1'),
    ]);
  },
};
