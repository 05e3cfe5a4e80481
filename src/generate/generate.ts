import { join } from 'node:path';
import { z } from 'zod';
import { type Context, inStage, throwIfInterrupted } from '../context.ts';
import { CLIP_TOKENS } from '../convert/config/clip-text-config.ts';
import { latentScaleOf } from '../convert/vae.ts';
import { ConfigError, NotFoundError, RequestError } from '../errors.ts';
import type { Runner } from '../formats/runner.ts';
import { exists, listFolder, readText, writeFile } from '../io/disk.ts';
import { type JsonObject, readJsonObject } from '../io/python-json.ts';
import { createRng, type RngKind } from '../random/random.ts';
import { openChain } from '../run/chain.ts';
import type { TensorData } from '../weights/tensor-data.ts';
import { ClipTokenizer } from './clip-tokenizer.ts';
import { imageFromTensor } from './image-tensor.ts';
import { encodePng } from './png.ts';
import { createScheduler } from './schedulers/create-scheduler.ts';
import { decodeLatents, denoise, encodePrompts } from './text-to-image.ts';

/** What to draw, and with what. */
export interface GenerateRequest {
  /** A conversion's output folder, or its `onnx` folder. */
  readonly input: string;
  /** Folder for the pictures. */
  readonly output: string;
  readonly prompt: string;
  readonly negativePrompt: string;
  readonly seed: number;
  readonly steps: number;
  /** 1 or less: without the negative prompt, at half the cost. */
  readonly guidanceScale: number;
  /** A scheduler's class in diffusers; the checkpoint's own when left out. */
  readonly scheduler?: string | undefined;
  readonly rng: RngKind;
  readonly imageCount: number;
}

/** A picture that was drawn. */
export interface GeneratedImage {
  readonly path: string;
  readonly width: number;
  readonly height: number;
}

/** The stages of drawing, in order. */
export const generateStages = ['encode', 'denoise', 'decode'] as const;

/**
 * Draws pictures from a converted checkpoint, in memory one network at a time. Deterministic: the same request gives the
 * same bytes on one machine. Throws `NotFoundError` for a folder that lacks something, `InterruptedError`, and what
 * running throws.
 */
export async function generate(request: GenerateRequest, context: Context = {}): Promise<GeneratedImage[]> {
  const folder = (await exists(join(request.input, 'onnx'))) ? join(request.input, 'onnx') : request.input;
  const { unet, scale, schedulerConfig } = await readConfigs(folder);
  const scheduler = createScheduler(
    request.scheduler ? { ...schedulerConfig, _class_name: request.scheduler } : schedulerConfig,
  );
  const tokenizer = await openTokenizer(join(folder, 'tokenizer'));

  const guided = request.guidanceScale > 1;
  const prompts = guided ? [request.negativePrompt, request.prompt] : [request.prompt];
  const hiddenStates = await inStage('encode', context, () =>
    withNetwork(folder, 'text_encoder', async (encoder) => {
      const rows = prompts.map((prompt) => tokenizer.encode(prompt, { maxLength: CLIP_TOKENS }));
      return {
        output: await encodePrompts(encoder, rows),
        detail: prompts.map((prompt) => `“${prompt}”`).join(' against '),
      };
    }),
  );

  // One stream of numbers for all pictures: first each one's noise, then what schedulers add on the way.
  const rng = createRng(request.rng, request.seed);
  const latents = await inStage('denoise', context, () =>
    withNetwork(folder, 'unet', async (network) => {
      const shape = latentShape(network, unet);
      const count = shape.reduce((product, size) => product * size, 1);
      const noises = Array.from({ length: request.imageCount }, () => rng.normal(count));
      const output: TensorData<'f32'>[] = [];
      for (const data of noises) {
        const noise = { dtype: 'f32', shape, data } as const;
        const { guidanceScale, steps } = request;
        output.push(
          await denoise(
            network,
            scheduler,
            { noise, hiddenStates, guidanceScale, steps, normal: (n) => rng.normal(n) },
            context,
          ),
        );
      }
      return { output, detail: `${scheduler.timesteps.length} × ${request.imageCount} runs of the UNet` };
    }),
  );

  return inStage('decode', context, () =>
    withNetwork(folder, 'vae_decoder', async (decoder) => {
      const output: GeneratedImage[] = [];
      for (const [index, each] of latents.entries()) {
        throwIfInterrupted(context.signal);
        const { shape, data } = await decodeLatents(decoder, each, scale);
        const [, , height = 0, width = 0] = shape;
        const path = join(request.output, fileName(request, index));
        const png = encodePng(imageFromTensor(data, width, height));
        await writeFile(path, (sink) => sink.write(png, 0));
        output.push({ path, width, height });
      }
      return { output, detail: output.map(({ path }) => path).join(', ') };
    }),
  );
}

const unetSchema = z.object({
  sample_size: z.union([z.int(), z.tuple([z.int(), z.int()])]),
  in_channels: z.int(),
});

/** The settings that drawing needs, of an `onnx` folder. Throws `NotFoundError` and `ConfigError`. */
export async function readConfigs(folder: string) {
  const unetFolder = (await networkFolders(folder, 'unet'))[0] ?? join(folder, 'unet');
  return {
    unet: parse(unetSchema, await readJsonObject(join(unetFolder, 'config.json')), unetFolder),
    scale: latentScaleOf({ config: await readJsonObject(join(folder, 'vae_decoder', 'config.json')) }),
    schedulerConfig: await readJsonObject(join(folder, 'scheduler', 'scheduler_config.json')),
  };
}

function parse<Schema extends z.ZodType>(
  schema: Schema,
  config: JsonObject,
  where: string,
): z.output<Schema> {
  const result = schema.safeParse(config);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new ConfigError({
    problem: `the config in ${where} does not say ${issue?.path.join('.')}.`,
    advice: 'Convert the checkpoint again.',
  });
}

/** The tokenizer in a folder of a conversion or checkpoint. Throws `NotFoundError` and what the tokenizer throws. */
export async function openTokenizer(folder: string): Promise<ClipTokenizer> {
  const optional = async (name: string): Promise<JsonObject | undefined> => {
    const path = join(folder, name);
    return (await exists(path)) ? readJsonObject(path) : undefined;
  };
  const config = await optional('tokenizer_config.json');
  const specialTokensMap = await optional('special_tokens_map.json');
  return ClipTokenizer.fromFiles({
    vocab: await readText(join(folder, 'vocab.json')),
    merges: await readText(join(folder, 'merges.txt')),
    ...(config ? { config } : {}),
    ...(specialTokensMap ? { specialTokensMap } : {}),
  });
}

/** Loads a network (from its chunks, where it is in chunks), uses it, and gives its memory back. */
async function withNetwork<T>(
  folder: string,
  name: string,
  use: (network: Runner) => Promise<T>,
): Promise<T> {
  const network = await openChain(await networkFolders(folder, name), { optimize: true });
  try {
    return await use(network);
  } finally {
    await network.close();
  }
}

/** The folders of a network's chunks, or its own. Throws `NotFoundError` where there are neither. */
async function networkFolders(folder: string, name: string): Promise<string[]> {
  if (!(await exists(folder)))
    throw new NotFoundError({
      problem: `${folder} does not exist.`,
      advice: 'Name the output folder of a conversion.',
    });
  const names = await listFolder(folder);
  const chunks = names.filter((each) => new RegExp(`^${name}_chunk\\d+$`).test(each));
  chunks.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  const found = chunks.length > 0 ? chunks : names.filter((each) => each === name);
  if (found.length > 0) return found.map((each) => join(folder, each));
  throw new NotFoundError({
    problem: `${folder} has no ${name}.`,
    advice: `Convert it too: sdconvert --model-version … --convert-${name.replace('_', '-')}`,
  });
}

/** What the UNet was made for, or the config's size where it takes any. */
export function latentShape(unet: Runner, config: z.output<typeof unetSchema>): number[] {
  const dims = unet.inputs.find(({ name }) => name === 'sample')?.dims ?? [];
  const side = (axis: number): number => {
    const size = dims[axis];
    if (typeof size === 'number') return size;
    const [height, width = height] = [config.sample_size].flat();
    return (axis === 2 ? height : width) ?? 0;
  };
  if (config.in_channels !== 4) {
    throw new RequestError({
      problem: `this UNet reads ${config.in_channels} channels, which text-to-image cannot feed.`,
      advice: 'It is made for inpainting or editing.',
    });
  }
  return [1, config.in_channels, side(2), side(3)];
}

/** As Apple's StableDiffusionSample names its pictures: the prompt's first 75 characters, index, seed. */
function fileName({ prompt, imageCount, seed }: GenerateRequest, index: number): string {
  const words = prompt
    .slice(0, 75)
    .replaceAll(' ', '_')
    .replaceAll(/[/\\\0]/g, '_');
  return [words, ...(imageCount > 1 ? [String(index)] : []), String(seed), 'final', 'png'].join('.');
}
