import { basename } from 'node:path';
import { kindTitles } from '../checkpoint/family.ts';
import type { Context } from '../context.ts';
import { LATENT_CHANNELS, PIXELS } from '../convert/networks/latents.ts';
import type { NetworkName } from '../convert/networks/networks.ts';
import { UnsupportedModelError } from '../errors.ts';
import { formats, withArtifact } from '../formats/open.ts';
import { readProvenance } from '../formats/provenance.ts';
import type { ClipTokenizerFiles } from '../generate/clip-tokenizer.ts';
import { type DrawingFolder, findDrawingFolder, requireModel } from '../generate/drawing-folder.ts';
import { type DrawingSettings, placeOfTokenizer, readSettings } from '../generate/drawing-settings.ts';
import { readDrawnUnet } from '../generate/drawn-unet.ts';
import { textEncodersOf } from '../generate/encode-conditioning.ts';
import { readCheckedTokenizer } from '../generate/open-tokenizer.ts';
import { schedulerIn } from '../generate/read-scheduler.ts';
import { createScheduler } from '../generate/schedulers/create-scheduler.ts';
import {
  compatibleSchedulers,
  isSchedulerName,
  type SchedulerName,
  shortName,
} from '../generate/schedulers/scheduler-names.ts';
import type { ModelInFolder } from '../run/find-models.ts';
import { onOneLine } from '../text.ts';
import { memoryNeed, type WeightBytes } from './memory-need.ts';
import type { PlacedModel } from './place-models.ts';
import type { WebPlan } from './web-plan.ts';

/** A page that can be made: nothing has been written. */
export interface PlannedWeb
  extends Pick<
    WebPlan,
    'title' | 'unet' | 'latents' | 'scheduler' | 'schedulers' | 'zerosForEmptyPrompt' | 'memory'
  > {
  readonly models: readonly PlacedModel[];
  /** By the text encoder's name. */
  readonly tokenizers: ReadonlyMap<string, ClipTokenizerFiles>;
}

/**
 * Finds the models of a conversion that a page draws with. Throws `NotFoundError` when one is missing, and
 * `UnsupportedModelError` for models of other formats, in chunks, or for other tasks.
 */
export async function planWeb(input: string, context: Context): Promise<PlannedWeb> {
  const folder = await findDrawingFolder(input, ['unet'], isForBrowsers);
  const unet = await readDrawnUnet(requireModel(folder, 'unet'));
  if (unet.kind !== 'base' && unet.kind !== 'lcm')
    throw new UnsupportedModelError({
      problem: `the page draws from a prompt, and this UNet is for ${kindTitles[unet.kind]}.`,
      advice: 'Draw with sdconvert generate instead.',
    });
  const { family, size, multiple, tokens, guidanceChannels } = unet;
  if (family === 'sdxl-refiner')
    throw new UnsupportedModelError({
      problem:
        'the page draws from a prompt, and there is only a refiner, which finishes what a base model starts.',
      advice: 'Convert the base model too: --model-version BASE --refiner-version REFINER.',
    });
  const encoders = textEncodersOf(unet);
  const needed: readonly NetworkName[] = [...encoders, 'unet', 'vae_decoder'];
  const wanted = folder.models.has('vae_encoder') ? [...needed, 'vae_encoder' as const] : needed;
  const found = await Promise.all(wanted.map((name) => weighed(folder, name)));
  const settings = await readSettings(folder, family, context);
  const { scheduler, latentScale, zerosForEmptyPrompt } = settings;
  const tokenizers = await Promise.all(
    encoders.map(async (name) => {
      const tokenizer = name === 'text_encoder' ? 'tokenizer' : 'tokenizer_2';
      const place = await placeOfTokenizer(folder, tokenizer, family);
      // The page refuses what cannot be read, but when it is there.
      return [name, await readCheckedTokenizer(place)] as const;
    }),
  );
  return {
    title: onOneLine((await readProvenance(folder.output))?.checkpoint?.name ?? basename(folder.output)),
    unet: { family, size, multiple, tokens, guidanceChannels },
    latents: { channels: LATENT_CHANNELS, pixels: PIXELS, scale: latentScale },
    models: found.map(({ model }) => model),
    tokenizers: new Map(tokenizers),
    scheduler,
    schedulers: schedulersFor(settings),
    zerosForEmptyPrompt,
    memory: memoryNeed(found.map(({ bytes }) => bytes)),
  };
}

/** Browsers run whole ONNX models. */
function isForBrowsers({ format, isInChunks }: ModelInFolder): boolean {
  return format === 'onnx' && !isInChunks;
}

/** A network's file, and the bytes of its weights. */
async function weighed(
  folder: DrawingFolder,
  name: NetworkName,
): Promise<{ readonly model: PlacedModel; readonly bytes: WeightBytes }> {
  const model = requireModel(folder, name);
  const { format, paths } = model;
  if (!isForBrowsers(model))
    throw new UnsupportedModelError({
      problem: `browsers run whole ONNX models, and the ${name} in ${folder.path} is ${format === 'onnx' ? 'in chunks' : formats[format].title}.`,
      advice: 'Convert again with --target onnx, without --chunk-unet.',
    });
  const [path = ''] = paths;
  return withArtifact(path, async (artifact) => {
    const { weights } = await artifact.facts();
    const parameters = weights.reduce((sum, group) => sum + group.parameters, 0);
    return {
      model: { name, path: artifact.path, isFloat16: weights.some(({ stored }) => stored === 'float16') },
      bytes: { stored: await artifact.byteLength(), asFloat32: 4 * parameters },
    };
  });
}

/** The checkpoint's own scheduler, then those that can replace it with this configuration. Throws `ConfigError`. */
function schedulersFor({ scheduler: config, schedulerFile }: DrawingSettings): string[] {
  const { _class_name: own } = config;
  schedulerIn(schedulerFile, config); // the page would refuse it, too
  if (!isSchedulerName(own)) return [];
  return [own, ...compatibleSchedulers(own).filter((name) => suits(config, name))].map(shortName);
}

function suits(config: DrawingSettings['scheduler'], name: SchedulerName): boolean {
  try {
    createScheduler(config, name);
    return true;
  } catch {
    return false; // it has no such schedule; the list leaves it out
  }
}
