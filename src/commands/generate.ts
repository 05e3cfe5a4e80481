import { join } from 'node:path';
import { type Context, inStage, throwIfInterrupted } from '../context.ts';
import { CLIP_TOKENS } from '../convert/config/clip-text-config.ts';
import type { NetworkName } from '../convert/networks/networks.ts';
import { requireOnnxruntime } from '../formats/onnx/onnx-session.ts';
import type { Runner } from '../formats/runner.ts';
import { latentShape, networkFolders, openTokenizer, readConfigs } from '../generate/drawing-folder.ts';
import { imageFromTensor } from '../generate/image-tensor.ts';
import { encodePng } from '../generate/png.ts';
import { createScheduler } from '../generate/schedulers/create-scheduler.ts';
import { decodeLatents, denoise, encodePrompts } from '../generate/text-to-image.ts';
import { exists, writeFile } from '../io/disk.ts';
import { createRng, type RngKind } from '../random/random.ts';
import { openChain } from '../run/chain.ts';
import type { TensorData } from '../weights/tensor-data.ts';
import { checkRequest } from './check-request.ts';
import { type OptionsOf, withDefaults } from './options.ts';

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
  /** A scheduler by any name of `schedulerCalled`; the checkpoint's own when left out. */
  readonly scheduler?: string | undefined;
  readonly rng: RngKind;
  readonly imageCount: number;
}

/** What `generate` does when nothing else is asked for. */
export const generateDefaults = {
  output: '.',
  negativePrompt: '',
  seed: 93,
  steps: 50,
  guidanceScale: 7.5,
  rng: 'numpy',
  imageCount: 1,
} as const satisfies Partial<GenerateRequest>;

/** Only `input` and `prompt` are needed. */
export type GenerateOptions = OptionsOf<GenerateRequest, typeof generateDefaults>;

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
export async function generate(options: GenerateOptions, context: Context = {}): Promise<GeneratedImage[]> {
  checkRequest('generate', options);
  const request = withDefaults<GenerateRequest, typeof generateDefaults>(generateDefaults, options);
  await requireOnnxruntime();
  const folder = (await exists(join(request.input, 'onnx'))) ? join(request.input, 'onnx') : request.input;
  const { unet, scale, schedulerConfig } = await readConfigs(folder);
  const scheduler = createScheduler(schedulerConfig, request.scheduler);
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

/** Loads a network (from its chunks, where it is in chunks), uses it, and gives its memory back. */
async function withNetwork<T>(
  folder: string,
  name: NetworkName,
  use: (network: Runner) => Promise<T>,
): Promise<T> {
  const network = await openChain(await networkFolders(folder, name), { optimize: true });
  try {
    return await use(network);
  } finally {
    await network.close();
  }
}

/** As Apple's StableDiffusionSample names its pictures: the prompt's first 75 characters, index, seed. */
function fileName({ prompt, imageCount, seed }: GenerateRequest, index: number): string {
  const words = prompt
    .slice(0, 75)
    .replaceAll(' ', '_')
    .replaceAll(/[/\\\0]/g, '_');
  return [words, ...(imageCount > 1 ? [String(index)] : []), String(seed), 'final', 'png'].join('.');
}
