import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.ts';
import { withLora } from '../../src/checkpoint/lora/merge-lora.ts';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint.ts';
import { placeSideFile } from '../../src/checkpoint/side-file.ts';
import { swiftVocabulary } from '../../src/checkpoint/swift-vocabulary.ts';
import { completeTokenizer } from '../../src/checkpoint/tokenizer-files.ts';
import { checkSideFiles } from '../../src/commands/conversion/side-files.ts';
import { appleContract } from '../../src/convert/contracts/apple.ts';
import { convert } from '../../src/convert/convert.ts';
import { openTokenizer } from '../../src/generate/open-tokenizer.ts';
import { createScheduler } from '../../src/generate/schedulers/create-scheduler.ts';
import { allSchedulers } from '../../src/generate/schedulers/scheduler-names.ts';
import { readJsonObject } from '../../src/io/json/python-json.ts';
import { makeRandomWeights } from '../../test/support/random-weights.ts';
import type { Files, Format } from '../format.ts';
import { mutateBytes } from '../mutate-bytes.ts';
import { jsonMutators } from '../mutate-json.ts';
import { mutateWords } from '../mutate-text.ts';
import { attempts, drainWeights, inspectAndDescribe, refusable } from './attempts.ts';
import { loraSeeds, mutateLoraNames } from './lora-names.ts';
import { bytesOf, inProject, smallVocabulary, wholeFolder } from './seeds.ts';

/** Small checkpoints of every family and network; their weights are made of a seed where they are not there yet. */
const folders = [
  'models/sd-shapes',
  ...['sdxl', 'sd21', 'sd15-wide-f16', 'asymmetric-autoencoder', 'tiny-autoencoder', 'safety-checker'].map(
    fixture,
  ),
  ...['uneven', 'koala', 'lcm', 'inpainting', 'pix2pix', 'controlnet-xl'].map((name) =>
    fixture(`variants/${name}`),
  ),
];

function fixture(name: string): string {
  return `test/fixtures/${name}`;
}

/** Opens a checkpoint as `inspect` and `convert` do, and builds each of its networks for both contracts. */
async function readCheckpoint(folder: string): Promise<void> {
  await inspectAndDescribe(folder);
  const checkpoint = await openCheckpoint(folder);
  try {
    await refusable(() => checkSideFiles(checkpoint, false))();
    // Not every checkpoint here is whole, and Core ML has fixed sizes.
    await refusable(() => [
      ...convert(checkpoint, { contract: appleContract, attention: 'SPLIT_EINSUM', sizes: {} }),
    ])();
  } finally {
    await checkpoint.close();
  }
}

export const configs: Format = {
  name: 'configs',
  async seeds() {
    await makeRandomWeights();
    return folders.map((folder) => wholeFolder(inProject(folder), /(config|map|index)\.json$/));
  },
  parts: [{ files: /(config|map|index)\.json$/, mutators: jsonMutators }],
  read: readCheckpoint,
};

export const shards: Format = {
  name: 'shards',
  async seeds() {
    const files = new Map(wholeFolder(inProject('models/sd-shapes'), /model_index\.json$/));
    const weights = files.get('unet/diffusion_pytorch_model.safetensors');
    if (typeof weights !== 'string') throw new Error('the weights are links');
    files.delete('unet/diffusion_pytorch_model.safetensors');
    files.set('unet/part-1.safetensors', weights);
    const bytes = readFileSync(weights);
    const header = JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE(0))).toString());
    const map = Object.fromEntries(
      Object.keys(header)
        .filter((name) => name !== '__metadata__')
        .map((name) => [name, 'part-1.safetensors']),
    );
    files.set(
      'unet/diffusion_pytorch_model.safetensors.index.json',
      bytesOf(JSON.stringify({ weight_map: map })),
    );
    return [files];
  },
  parts: [{ files: /index\.json$/, mutators: jsonMutators }],
  read: async (folder) => (await openCheckpoint(folder)).close(),
};

/** Prompts that reach every part of a tokenizer. */
const prompt = 'a photo of an ASTRONAUT’s 3 horses,\n<concept> 你好 🙂 \u0000 <|endoftext|>';

export const tokenizers: Format = {
  name: 'tokenizers',
  async seeds() {
    const { vocab, merges } = smallVocabulary();
    const folder = new Map([
      ...wholeFolder(inProject('models/sd-shapes/tokenizer'), /json$/),
      ['vocab.json', bytesOf(JSON.stringify(vocab))] as const,
      ['merges.txt', bytesOf(['#version: 0.2', ...merges].join('\n'))] as const,
    ]);
    const added = [{ id: 100_000, content: '<concept>', special: false }];
    const whole = new Map([
      [
        'tokenizer.json',
        bytesOf(JSON.stringify({ model: { type: 'BPE', vocab, merges }, added_tokens: added })),
      ],
    ]);
    const withAdded = new Map([...folder, ['added_tokens.json', bytesOf('{"<concept>": 100000}')] as const]);
    return [folder, withAdded, whole];
  },
  parts: [
    { files: /\.json$/, mutators: jsonMutators },
    { files: /\.txt$/, mutators: [mutateWords(['#version', '</w>', '\n\n', ' ']), mutateBytes] },
  ],
  async read(folder) {
    const names = [
      'vocab.json',
      'merges.txt',
      'tokenizer.json',
      'added_tokens.json',
      'tokenizer_config.json',
    ];
    const { existsSync } = await import('node:fs');
    const files = names.map((name) => join(folder, name)).filter((path) => existsSync(path));
    await attempts([
      async () => {
        const complete = await completeTokenizer(files);
        for (const file of await swiftVocabulary(complete))
          await placeSideFile(file, join(folder, 'swift', typeof file === 'string' ? 'copy' : file.name));
        if (existsSync(join(folder, 'tokenizer.json')))
          for (const file of complete)
            if (typeof file !== 'string') await placeSideFile(file, join(folder, file.name));
      },
      async () =>
        (await openTokenizer({ folder })).textOf(
          (await openTokenizer({ folder })).encode(prompt, { maxLength: 77 }),
        ),
    ]);
  },
};

export const schedulers: Format = {
  name: 'schedulers',
  async seeds() {
    const { lambda_min_clipped: _infinite, ...config } = await readJsonObject(
      inProject('models/sd-shapes/scheduler/scheduler_config.json'),
    );
    return allSchedulers().map(
      (name): Files => new Map([['scheduler_config.json', bytesOf(JSON.stringify(configFor(name, config)))]]),
    );
  },
  parts: [{ files: /./, mutators: jsonMutators }],
  async read(folder) {
    const config = await readJsonObject(join(folder, 'scheduler_config.json'));
    await attempts([
      () => walk(createScheduler(config)),
      // Not every class can draw in the place of every other.
      ...['euler_a', 'unipc'].map((as) => refusable(() => walk(createScheduler(config, as)))),
    ]);
  },
};

/** Flows know none of the options of the others, and EDM has no noise levels without their ends. */
function configFor(name: string, config: object): object {
  const isFlow = name.startsWith('FlowMatch');
  return {
    ...(isFlow ? { shift: 3, num_train_timesteps: 1000 } : { ...config, ...options }),
    ...(name.startsWith('EDM') && { sigma_min: 0.002, sigma_max: 80 }),
    _class_name: name,
  };
}

/** Options of several classes, so that all of them have numbers to change; the others pass over them. */
const options = {
  algorithm_type: 'dpmsolver++',
  sigma_min: null,
  sigma_max: null,
  use_karras_sigmas: false,
  solver_order: 2,
  timestep_spacing: 'leading',
  rescale_betas_zero_snr: false,
};

/** Takes a walk of ten steps with a model that predicts nothing. */
function walk(scheduler: ReturnType<typeof createScheduler>): void {
  scheduler.setTimesteps(10);
  let sample = new Float32Array(16).fill(scheduler.initNoiseSigma);
  const noise = (count: number): Float32Array => new Float32Array(count).fill(0.5);
  for (const t of scheduler.timesteps)
    sample = new Float32Array(
      scheduler.step(new Float32Array(16), t, scheduler.scaleModelInput(sample, t), { noise }),
    );
}

/** What LoRAs are merged into; it stays open. */
let base: Promise<Checkpoint> | undefined;

export const lora: Format = {
  name: 'LoRA names',
  seeds: loraSeeds,
  parts: [{ files: /./, mutators: [mutateLoraNames, mutateLoraNames, mutateLoraNames, mutateBytes] }],
  async read(folder) {
    base ??= openCheckpoint(inProject('models/sd-shapes'));
    const checkpoint = { ...(await base), close: async () => {} };
    const merged = await withLora(checkpoint, [{ path: join(folder, 'lora.safetensors'), scale: 0.7 }]);
    try {
      const changed = [...merged.components].flatMap(([name, { weights }]) =>
        [...weights].filter(([key, weight]) => checkpoint.components.get(name)?.weights.get(key) !== weight),
      );
      await drainWeights(changed.slice(0, 3).map(([, weight]) => weight));
    } finally {
      await merged.close();
    }
  },
};
