import { join } from 'node:path';
import { assetPath } from '../checkpoint/assets.ts';
import { type Family, familyTitles } from '../checkpoint/family.ts';
import type { Context } from '../context.ts';
import { trainedFactors } from '../convert/networks/vae-variant.ts';
import { type LatentScale, latentScaleOf } from '../convert/networks/vae-variants.ts';
import type { PipelineSettings } from '../formats/pipeline-settings.ts';
import { readProvenance } from '../formats/provenance.ts';
import { exists } from '../io/disk.ts';
import { type JsonObject, readJsonObject } from '../io/python-json.ts';
import type { ClipTokenizer } from './clip-tokenizer.ts';
import type { DrawingFolder } from './drawing-folder.ts';
import { openTokenizer } from './open-tokenizer.ts';

/** What drawing needs to know beside the models. */
export interface DrawingSettings {
  readonly scheduler: JsonObject;
  readonly latentScale: LatentScale;
  readonly zerosForEmptyPrompt: boolean;
}

/**
 * The settings of a folder of models: its own files say them, else the `sdconvert.json` of the conversion, else they are the
 * family's, which a note tells. Throws `FileFormatError` for files that are damaged.
 */
export async function readSettings(
  folder: DrawingFolder,
  family: Family,
  { onProgress }: Context,
): Promise<DrawingSettings> {
  const known: PipelineSettings = {
    ...(await readProvenance(folder.output))?.pipeline,
    ...(await settingsInFolder(join(folder.output, 'onnx'))),
    ...(await settingsInFolder(folder.path)),
  };
  const usual = usualSettings[family];
  const assumed = [
    ...(known.scheduler ? [] : [`the scheduler is ${usual.scheduler.toUpperCase()}`]),
    ...(known.latentScale ? [] : [`the VAE's scaling factor is ${usual.latentScale.factor}`]),
  ];
  if (assumed.length > 0)
    onProgress?.({
      type: 'note',
      message: `${folder.path} does not say it, so ${assumed.join(' and ')}, as ${familyTitles[family]} has it.`,
    });
  return {
    scheduler: known.scheduler ?? (await readJsonObject(usualScheduler(usual.scheduler))),
    latentScale: known.latentScale ?? usual.latentScale,
    zerosForEmptyPrompt: known.zerosForEmptyPrompt ?? usual.zerosForEmptyPrompt,
  };
}

interface UsualSettings extends Omit<DrawingSettings, 'scheduler'> {
  /** Of `assets/schedulers`. */
  readonly scheduler: string;
}

const sd: UsualSettings = {
  scheduler: 'pndm',
  latentScale: { factor: trainedFactors.sd, shift: 0 },
  zerosForEmptyPrompt: false,
};

const xl: UsualSettings = {
  scheduler: 'euler',
  latentScale: { factor: trainedFactors.xl, shift: 0 },
  zerosForEmptyPrompt: true,
};

const usualSettings: { readonly [F in Family]: UsualSettings } = {
  sd1: sd,
  sd2: sd,
  sdxl: xl,
  'sdxl-refiner': { ...xl, zerosForEmptyPrompt: false },
};

function usualScheduler(name: string): string {
  return assetPath('schedulers', name, 'scheduler_config.json');
}

/** What the files of an `onnx` folder say. */
async function settingsInFolder(folder: string): Promise<PipelineSettings> {
  const scheduler = await optionalJson(join(folder, 'scheduler', 'scheduler_config.json'));
  const vae = await optionalJson(join(folder, 'vae_decoder', 'config.json'));
  const { force_zeros_for_empty_prompt: zeros } =
    (await optionalJson(join(folder, 'model_index.json'))) ?? {};
  return {
    ...(scheduler && { scheduler }),
    ...(vae && { latentScale: latentScaleOf({ config: vae }) }),
    ...(typeof zeros === 'boolean' && { zerosForEmptyPrompt: zeros }),
  };
}

async function optionalJson(path: string): Promise<JsonObject | undefined> {
  return (await exists(path)) ? readJsonObject(path) : undefined;
}

/** What tokenizers usually fill a prompt up with: the end, or `!`. */
const usualPadding: { readonly [F in Family]: Readonly<Record<string, string>> } = {
  sd1: { tokenizer: '<|endoftext|>' },
  sd2: { tokenizer: '!' },
  sdxl: { tokenizer: '<|endoftext|>', tokenizer_2: '!' },
  'sdxl-refiner': { tokenizer_2: '!' },
};

/**
 * The tokenizer of a text encoder (`tokenizer`, `tokenizer_2`): its own folder's; else the vocabulary of `Resources`, else
 * CLIP's, which is one for all, filled up as `sdconvert.json` says or the family does. Throws what the tokenizer throws.
 */
export async function openTokenizerOf(
  folder: DrawingFolder,
  name: 'tokenizer' | 'tokenizer_2',
  family: Family,
): Promise<ClipTokenizer> {
  for (const place of [folder.path, join(folder.output, 'onnx')])
    if (await exists(join(place, name, 'vocab.json'))) return openTokenizer(join(place, name));
  const padding = (await readProvenance(folder.output))?.pipeline?.padding?.[name];
  const usual = padding ?? usualPadding[family][name];
  for (const place of [folder.path, join(folder.output, 'Resources')])
    if (await exists(join(place, 'vocab.json'))) return openTokenizer(place, usual);
  return openTokenizer(assetPath('tokenizers'), usual);
}
