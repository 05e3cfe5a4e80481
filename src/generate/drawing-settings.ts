import { join } from 'node:path';
import { assetPath } from '../checkpoint/assets.ts';
import { type Family, familyTitles } from '../checkpoint/family.ts';
import type { Context } from '../context.ts';
import { LATENT_CHANNELS, PIXELS } from '../convert/networks/latents.ts';
import { trainedFactors } from '../convert/networks/vae-variant.ts';
import { type LatentScale, latentScaleOf } from '../convert/networks/vae-variants.ts';
import type { PipelineSettings } from '../formats/pipeline-settings.ts';
import { readProvenance, recordIn } from '../formats/provenance.ts';
import { exists } from '../io/disk.ts';
import { type JsonObject, readJsonObject } from '../io/json/python-json.ts';
import type { ClipTokenizer } from './clip-tokenizer.ts';
import type { DrawingFolder } from './drawing-folder.ts';
import { openTokenizer, type TokenizerPlace } from './open-tokenizer.ts';
import { refuseOtherChannels } from './scale-latents.ts';

/** Settings that generation needs besides the models. */
export interface DrawingSettings {
  readonly scheduler: JsonObject;
  /** The file that `scheduler` comes from, for errors. */
  readonly schedulerFile: string;
  readonly latentScale: LatentScale;
  readonly zerosForEmptyPrompt: boolean;
  /** Whether the picture that pix2pix edits has its latents scaled, as diffusers' `is_cosxl_edit` says. */
  readonly scalesEditedPicture: boolean;
  /** Side in pixels of the pictures that the VAE was trained on, for tiles: a multiple of 32. */
  readonly vaePixels: number;
}

/**
 * Reads the settings from the files of a folder of models, or else from the `sdconvert.json` of the conversion.
 * Settings in neither take the family's usual values, which a note reports. Throws `FileFormatError` for damaged files, and as
 * `refuseOtherChannels`.
 */
export async function readSettings(
  folder: DrawingFolder,
  family: Family,
  { onProgress }: Context,
): Promise<DrawingSettings> {
  const known: FolderSettings = {
    schedulerFile: recordIn(folder.output),
    ...(await readProvenance(folder.output))?.pipeline,
    ...(await settingsInFolder(join(folder.output, 'onnx'))),
    ...(await settingsInFolder(folder.path)),
  };
  const usual = usualSettings[family];
  const assumed = [
    ...(known.scheduler ? [] : [`${usual.scheduler.toUpperCase()} as the scheduler`]),
    ...(known.latentScale ? [] : [`${usual.latentScale.factor} as the VAE's scaling factor`]),
  ];
  if (assumed.length > 0)
    onProgress?.({
      type: 'note',
      message: `assuming ${assumed.join(' and ')}, as usual for ${familyTitles[family]}: ${folder.path} does not say.`,
    });
  const latentScale = known.latentScale ?? usual.latentScale;
  refuseOtherChannels(latentScale, LATENT_CHANNELS); // now, and not once hours were spent on latents
  const usualFile = assetPath('schedulers', usual.scheduler, SCHEDULER);
  return {
    scheduler: known.scheduler ?? (await readJsonObject(usualFile)),
    schedulerFile: known.scheduler ? known.schedulerFile : usualFile,
    latentScale,
    zerosForEmptyPrompt: known.zerosForEmptyPrompt ?? usual.zerosForEmptyPrompt,
    scalesEditedPicture: known.scalesEditedPicture ?? usual.scalesEditedPicture,
    vaePixels: known.vaePixels ?? usual.vaePixels,
  };
}

interface FolderSettings extends PipelineSettings, Partial<Pick<DrawingSettings, 'vaePixels'>> {
  readonly schedulerFile: string;
}

const SCHEDULER = 'scheduler_config.json';

interface UsualSettings extends Omit<DrawingSettings, 'scheduler' | 'schedulerFile'> {
  /** Name of a folder in `assets/schedulers`. */
  readonly scheduler: string;
}

const sd: UsualSettings = {
  scheduler: 'pndm',
  latentScale: { factor: trainedFactors.sd, shift: 0 },
  zerosForEmptyPrompt: false,
  scalesEditedPicture: false,
  vaePixels: 512,
};

const xl: UsualSettings = {
  scheduler: 'euler',
  latentScale: { factor: trainedFactors.xl, shift: 0 },
  zerosForEmptyPrompt: true,
  scalesEditedPicture: false,
  vaePixels: 1024,
};

const usualSettings: { readonly [F in Family]: UsualSettings } = {
  sd1: sd,
  sd2: sd,
  sdxl: xl,
  'sdxl-refiner': { ...xl, zerosForEmptyPrompt: false },
};

/** Reads settings from the files of an `onnx` folder. */
async function settingsInFolder(folder: string): Promise<Partial<FolderSettings>> {
  const schedulerFile = join(folder, 'scheduler', SCHEDULER);
  const scheduler = await optionalJson(schedulerFile);
  const configFile = join(folder, 'vae_decoder', 'config.json');
  const vae = await optionalJson(configFile);
  const { force_zeros_for_empty_prompt: zeros, is_cosxl_edit: isCosXlEdit } =
    (await optionalJson(join(folder, 'model_index.json'))) ?? {};
  return {
    ...(scheduler && { scheduler, schedulerFile }),
    ...(vae && { latentScale: latentScaleOf({ name: 'vae', config: vae, configFile }) }),
    ...(isTile(vae?.sample_size) && { vaePixels: vae.sample_size }),
    ...(typeof zeros === 'boolean' && { zerosForEmptyPrompt: zeros }),
    ...(isCosXlEdit === true && { scalesEditedPicture: true }),
  };
}

/** Whether a side in pixels makes a tile: three quarters of it, and of its latents, must be whole numbers. */
function isTile(side: unknown): side is number {
  return typeof side === 'number' && side > 0 && side % (4 * PIXELS) === 0;
}

async function optionalJson(path: string): Promise<JsonObject | undefined> {
  return (await exists(path)) ? readJsonObject(path) : undefined;
}

/** Padding token of each family's tokenizers: the end token, or `!`. */
const usualPadding: { readonly [F in Family]: Readonly<Record<string, string>> } = {
  sd1: { tokenizer: '<|endoftext|>' },
  sd2: { tokenizer: '!' },
  sdxl: { tokenizer: '<|endoftext|>', tokenizer_2: '!' },
  'sdxl-refiner': { tokenizer_2: '!' },
};

/** Opens the tokenizer of a text encoder. Throws as `placeOfTokenizer` and `openTokenizer` do. */
export async function openTokenizerOf(
  folder: DrawingFolder,
  name: 'tokenizer' | 'tokenizer_2',
  family: Family,
): Promise<ClipTokenizer> {
  return openTokenizer(await placeOfTokenizer(folder, name, family));
}

/**
 * Where the tokenizer of a text encoder is: in its own folder, else with the vocabulary in `Resources`, else with CLIP's, which all
 * models share. A vocabulary is padded as `sdconvert.json` says, or as usual for the family. Throws as `readProvenance` does.
 */
export async function placeOfTokenizer(
  folder: DrawingFolder,
  name: 'tokenizer' | 'tokenizer_2',
  family: Family,
): Promise<TokenizerPlace> {
  for (const place of [folder.path, join(folder.output, 'onnx')])
    if (await exists(join(place, name, 'vocab.json'))) return { folder: join(place, name) };
  const recorded = (await readProvenance(folder.output))?.pipeline?.padding?.[name];
  const padding = recorded ?? usualPadding[family][name];
  for (const place of [folder.path, join(folder.output, 'Resources')])
    if (await exists(join(place, 'vocab.json'))) return { folder: place, padding };
  return { folder: assetPath('tokenizers'), padding };
}
