import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readPlan } from '../../page/ui/read-plan.ts';
import { readTokenizer } from '../../page/worker/read-tokenizer.ts';
import { FileFormatError } from '../../src/errors.ts';
import { beginWithNoise } from '../../src/generate/pipelines/beginning.ts';
import { guidanceEmbedding } from '../../src/generate/pipelines/guidance-embedding.ts';
import { latentsForVae } from '../../src/generate/scale-latents.ts';
import { createScheduler } from '../../src/generate/schedulers/create-scheduler.ts';
import type { WebPlan } from '../../src/web/web-plan.ts';
import type { Format } from '../format.ts';
import { jsonMutators } from '../mutate-json.ts';
import { attempts, refusable } from './attempts.ts';
import { bytesOf, smallVocabulary } from './seeds.ts';

/** What a page reads in the browser before it loads a model. */

const sha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const file = { path: 'models/unet/model.onnx', byteLength: 1, sha256 };

const plan: WebPlan = {
  title: 'sd',
  unet: { family: 'sdxl', size: [8, 8], multiple: 8, tokens: 77, guidanceChannels: 256 },
  latents: {
    channels: 4,
    pixels: 8,
    scale: { factor: 0.18215, shift: 0, mean: [0, 0, 0, 0], std: [1, 1, 1, 1] },
  },
  models: { unet: { model: file, data: [{ ...file, name: 'model.onnx_data' }], isFloat16: true } },
  tokenizers: { text_encoder: { ...file, path: 'tokenizer.json' } },
  scheduler: { _class_name: 'PNDMScheduler', beta_schedule: 'scaled_linear', skip_prk_steps: true },
  schedulers: ['pndm', 'euler'],
  zerosForEmptyPrompt: false,
  memory: { wasm: 1e9, webGpu: 1e9 },
  demo: { prompt: 'a red circle', seed: 7, steps: 20, guidanceScale: 7.5, picture: file },
};

export const pagePlans: Format = {
  name: 'page plans',
  async seeds() {
    const { vocab, merges } = smallVocabulary();
    const texts = { vocab: JSON.stringify(vocab), merges: ['#version: 0.2', ...merges].join('\n') };
    const tokenizer = { ...texts, config: {}, specialTokensMap: {}, added: [['<concept>', 100_000]] };
    return [
      new Map([
        ['plan.json', bytesOf(JSON.stringify(plan))],
        ['tokenizer.json', bytesOf(JSON.stringify(tokenizer))],
      ]),
    ];
  },
  parts: [
    { files: /^plan/, mutators: jsonMutators },
    { files: /^tokenizer/, mutators: jsonMutators },
  ],
  async read(folder) {
    const bytes = (name: string): Uint8Array => readFileSync(join(folder, name));
    await attempts([
      () => draw(told(() => readPlan(new TextDecoder().decode(bytes('plan.json'))))),
      () =>
        told(() => readTokenizer(bytes('tokenizer.json'), 'tokenizer.json')).encode('a cat', {
          maxLength: 77,
        }),
    ]);
  },
};

/** Errors of the page are of one sentence, for a person to read: the library's have more parts. */
function told<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof Error && error.constructor === Error)
      throw new FileFormatError({ problem: error.message });
    throw error;
  }
}

/** Begins to draw, with each scheduler of the page. */
async function draw({ title, unet, latents, models, scheduler, schedulers, demo }: WebPlan): Promise<void> {
  for (const shown of [title, demo?.prompt, demo?.seed, demo?.guidanceScale, ...Object.keys(models)])
    String(shown);
  const shape = [1, latents.channels, 1, 1];
  guidanceEmbedding(demo?.guidanceScale ?? 1, unet.guidanceChannels ?? 1);
  const normal = (count: number): Float32Array => new Float32Array(count);
  await attempts(
    schedulers.slice(0, 3).map((name) =>
      refusable(() => {
        const chosen = createScheduler(scheduler, name);
        chosen.setTimesteps(demo?.steps ?? 20);
        const { pictures } = beginWithNoise({ schedulers: [chosen], shape, normal });
        for (const picture of pictures) latentsForVae(picture.latents, latents.scale);
      }),
    ),
  );
}
