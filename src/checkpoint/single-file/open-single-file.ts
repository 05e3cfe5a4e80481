import { basename, extname } from 'node:path';
import { ConfigError, UnsupportedModelError } from '../../errors.ts';
import { type JsonObject, readJsonObject } from '../../io/json/python-json.ts';
import type { WeightFile } from '../../weights/tensors-of-file.ts';
import type { Weight } from '../../weights/weight.ts';
import { openWeightFile } from '../../weights/weight-file.ts';
import { assetPath, tokenizerFiles } from '../assets.ts';
import { type Checkpoint, notesOnComponents } from '../checkpoint.ts';
import type { Component, Incomplete, OpenComponent } from '../component.ts';
import { type Family, familyOf, familyTitles, kindOf, textWidth, type UNetKind } from '../family.ts';
import { type RecognizedWeights, recognizeWeights, type WeightsKind } from '../recognize/weight-file-kind.ts';
import { adaptConfig } from './adapt-config.ts';
import { notesOnFile } from './file-notes.ts';
import { asConfigured, withLatentStatistics, withSampleSize, withSizeChannels } from './fit-components.ts';
import { leftOverError, leftOverNote, unknownObjects } from './left-over.ts';
import { type Prediction, type PredictionType, predictionOf } from './prediction.ts';
import { schedulerOf } from './scheduler.ts';
import { type Part, type Parts, type SplitFile, splitSingleFile } from './split.ts';
import { configBeside, type OriginalConfig } from './yaml-beside.ts';

/** Kinds of files that can be opened as a checkpoint; a UNet or a VAE alone is one without the other networks. */
export const openedAlone: readonly WeightsKind[] = ['checkpoint', 'unet', 'vae'];

/** Kind of a file that is not recognised. */
const unknownFile: RecognizedWeights = {
  kind: 'unsupported',
  what: 'not a known kind of checkpoint',
  advice: 'Give a checkpoint of Stable Diffusion: a single file, or the folder that holds model_index.json.',
};

/** Options for reading a single file. */
export interface SingleFileOptions {
  /** Whether tensors outside of the networks are refused instead of ignored. */
  readonly strict?: boolean | undefined;
  /** Prediction type of the UNet, which overrides the file's. */
  readonly predictionType?: PredictionType | undefined;
  /** The original YAML config beside the file. */
  readonly configured?: OriginalConfig | undefined;
}

/**
 * Opens a single file (.safetensors, .ckpt) as if it were a diffusers folder. Throws what `openWeightFile` and
 * `readSingleFile` throw.
 */
export async function openSingleFile(path: string, options: SingleFileOptions = {}): Promise<Checkpoint> {
  const file = await openWeightFile(path);
  try {
    return await readSingleFile(file, { configured: await configBeside(path), ...options });
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Facts about a file that reading its networks needs. */
interface Nature {
  readonly family: Family;
  readonly kind: UNetKind | undefined;
  readonly prediction: Prediction;
  readonly configured: SingleFileOptions['configured'];
}

/** Reads the networks that the family's model_index.json names; those that the file lacks are `missing`. */
async function readNetworks(
  file: WeightFile,
  parts: Parts,
  template: JsonObject,
  { family, kind, prediction, configured }: Nature,
) {
  const notes: string[] = [];
  const components = new Map<string, Component>();
  const missing: string[] = [];
  for (const [name, entry] of Object.entries(template)) {
    const [, className] = Array.isArray(entry) ? entry : [];
    if (typeof className !== 'string' || !isPart(name)) continue;
    const found = parts.get(name);
    if (!found) {
      missing.push(name);
      continue;
    }
    const { notes: own, ...component } = await readPart(file, name, className, family, found);
    const fitted = name === 'unet' ? withSampleSize(component, family, prediction, kind) : component;
    const stated = configured ? asConfigured(fitted, configured) : fitted;
    components.set(name, name === 'vae' ? await withLatentStatistics(stated, file.weights) : stated);
    notes.push(...own);
  }
  const [base, second] = [components.get('unet'), components.get('text_encoder_2')];
  if (base && second) components.set('unet', withSizeChannels(base, second));
  return { components, missing, notes };
}

/**
 * Reads the checkpoint in a file of tensors: each network in diffusers' names, with its family's config adapted to the
 * shapes. Networks that the file lacks are `missing`; tensors outside of the networks are ignored with a note. Throws
 * `UnsupportedModelError` that names what the file is instead, `ConfigError` when it mixes families,
 * `UnusedWeightError` with `strict`, and as `splitSingleFile` does.
 */
export async function readSingleFile(file: WeightFile, options: SingleFileOptions = {}): Promise<Checkpoint> {
  const { path, weights } = file;
  const known = recognizeWeights(weights, path) ?? unknownFile;
  if (!openedAlone.includes(known.kind)) throw notACheckpoint(file, known);
  const { parts, left, notes: done } = splitSingleFile(file);
  if (parts.size === 0) throw notACheckpoint(file, unknownFile);
  const beside = left.filter((name) => !isRead(name));
  if (options.strict && beside.length > 0) throw leftOverError(path, beside);
  const { unknownClasses = [] } = file;
  if (options.strict && unknownClasses.length > 0) throw unknownObjects(path, unknownClasses);
  const unet = parts.get('unet');

  const family = (unet && familyOf(unet)) ?? familyWithoutUnet(parts);
  const kind = unet && kindOf(unet);
  const template = await readJsonObject(assetPath('families', family, 'model_index.json'));
  checkFamily(path, family, parts, template);

  const { configured, predictionType: given } = options;
  const prediction = await predictionOf(file, { family, kind, unet, given, configured });
  const read = await readNetworks(file, parts, template, { family, kind, prediction, configured });
  const { components, missing } = read;
  const notes = [
    ...done,
    ...read.notes,
    ...notesOnComponents(components, family),
    ...(unet && prediction.note ? [prediction.note] : []),
    ...notesOnFile(file, { missing, beside, hasControlNet: parts.has('controlnet') }),
  ];

  const scheduler = assetPath('schedulers', schedulerOf(family, prediction), 'scheduler_config.json');
  const { _class_name: schedulerClass } = await readJsonObject(scheduler);
  const modelIndex: JsonObject = {
    ...template,
    _class_name: pipelineOf(family, kind) ?? template._class_name,
    scheduler: ['diffusers', schedulerClass],
  };
  return {
    name: basename(path, extname(path)),
    path,
    modelIndex,
    components,
    folders: new Map([['scheduler', [scheduler]], ...tokenizersOf(family)]),
    missing,
    family,
    kind,
    notes,
    close: () => file.close(),
  };
}

/**
 * Reads one network of a file of tensors, which may hold others. `family` is used where the network's shapes do not
 * show it. Throws `UnsupportedModelError` that names what the file is instead, and as `splitSingleFile` does.
 */
export async function readSingleComponent(
  file: WeightFile,
  {
    as,
    known: given,
    className,
    family,
    strict,
  }: {
    readonly as: Part;
    /** Kind of the file, if the caller has recognised it. */
    readonly known?: RecognizedWeights | undefined;
    readonly className: string;
    readonly family?: Family | undefined;
    readonly strict?: boolean | undefined;
  },
): Promise<OpenComponent> {
  const known = given ?? recognizeWeights(file.weights, file.path) ?? unknownFile;
  const isPart = known.kind === 'controlnet' || openedAlone.includes(known.kind);
  const { parts, left, notes }: SplitFile = isPart
    ? splitSingleFile(file)
    : { parts: new Map(), left: [], notes: [] };
  const weights = parts.get(as);
  if (!weights) throw lacksPart(file, as, known);
  const beside = left.filter((name) => !isRead(name));
  if (strict && beside.length > 0) throw leftOverError(file.path, beside);
  const own = familyOf(weights) ?? family ?? familyWithoutUnet(parts);
  const component = await readPart(file, as, className, own, weights);
  return {
    ...component,
    ...(as === 'controlnet' && { incomplete: incompleteness(file) }),
    notes: [...notes, ...component.notes, ...(beside.length > 0 ? [leftOverNote(file.path, beside)] : [])],
    close: () => file.close(),
  };
}

async function readPart(
  { path }: WeightFile,
  name: Part,
  className: string,
  family: Family,
  weights: ReadonlyMap<string, Weight>,
): Promise<Omit<OpenComponent, 'close'>> {
  const configFile = assetPath('families', family, name, 'config.json');
  const { config, note } = adaptConfig(name, await readJsonObject(configFile), weights);
  if (name === 'vae' && config.latent_channels !== 4) throw otherVae(path, config.latent_channels);
  return {
    name,
    className,
    config,
    configFile,
    adapted: true,
    weights,
    files: [path],
    notes: note === undefined ? [] : [note],
  };
}

/**
 * Recognises the family without a UNet, by the number and width of text encoders; VAEs of all families have the same
 * shapes.
 */
function familyWithoutUnet(parts: Parts): Family {
  const [first, second] = [parts.get('text_encoder'), parts.get('text_encoder_2')];
  if (second) return first ? 'sdxl' : 'sdxl-refiner';
  return first && textChannels(first) === 1024 ? 'sd2' : 'sd1';
}

/** How an incomplete ControlNet is stored; `undefined` for a complete one. */
function incompleteness({ weights }: WeightFile): Incomplete | undefined {
  if (weights.has('difference')) return 'difference';
  return weights.has('lora_controlnet') ? 'control-lora' : undefined;
}

/** Whether a tensor outside of the networks is read. */
function isRead(name: string): boolean {
  return /^(edm_(mean|std)|difference|lora_controlnet)$/.test(name);
}

/** Refuses text encoders of another family than the UNet's. */
function checkFamily(path: string, family: Family, parts: Parts, template: JsonObject): void {
  const encoders = (['text_encoder', 'text_encoder_2'] as const).filter((name) => {
    const entry = template[name];
    return Array.isArray(entry) && typeof entry[1] === 'string';
  });
  const strange = (['text_encoder', 'text_encoder_2'] as const).find(
    (name) => parts.has(name) && !encoders.includes(name),
  );
  const unet = parts.get('unet');
  const wanted = unet && textWidth(unet);
  const given = encoders.map((name) => textChannels(parts.get(name)));
  const sum = given.reduce((total, channels = Number.NaN) => (total ?? 0) + channels, 0);
  if (!strange && (wanted === undefined || sum === undefined || Number.isNaN(sum) || sum === wanted)) return;
  throw new ConfigError({
    problem: `${path} mixes families: its UNet is one of ${familyTitles[family]}, its text encoder is not.`,
    details: {
      'the UNet reads': `text of ${wanted} channels`,
      'the file has': strange ? `a ${strange}` : `text encoders of ${given.join(' and ')} channels`,
    },
    advice: 'The file was put together from two models. Use the model as its author published it.',
  });
}

function textChannels(encoder: ReadonlyMap<string, Weight> | undefined): number | undefined {
  return encoder?.get('text_model.embeddings.token_embedding.weight')?.shape[1];
}

/** diffusers' pipeline for a UNet of this kind; `undefined` for the family's usual one. */
function pipelineOf(family: Family, kind: UNetKind | undefined): string | undefined {
  const stem = family === 'sdxl' || family === 'sdxl-refiner' ? 'StableDiffusionXL' : 'StableDiffusion';
  if (kind === 'inpainting') return `${stem}InpaintPipeline`;
  return kind === 'pix2pix' ? `${stem}InstructPix2PixPipeline` : undefined;
}

/** Tokenizers of a family: OpenCLIP's pad with "!", OpenAI's with the end-of-text token. */
function tokenizersOf(family: Family): readonly (readonly [string, readonly string[]])[] {
  const [openai, openclip] = [tokenizerFiles('pad-end-of-text'), tokenizerFiles('pad-exclamation-mark')];
  switch (family) {
    case 'sd1':
      return [['tokenizer', openai]];
    case 'sd2':
      return [['tokenizer', openclip]];
    case 'sdxl':
      return [
        ['tokenizer', openai],
        ['tokenizer_2', openclip],
      ];
    case 'sdxl-refiner':
      return [['tokenizer_2', openclip]];
  }
}

const partNames: readonly string[] = ['unet', 'vae', 'text_encoder', 'text_encoder_2'] satisfies Part[];

function isPart(name: string): name is Part {
  return partNames.includes(name);
}

function notACheckpoint({ path, weights }: WeightFile, known: RecognizedWeights): UnsupportedModelError {
  const [first] = weights.keys();
  if (first === undefined)
    return new UnsupportedModelError({ problem: `${path} has no tensors.`, advice: known.advice });
  const tensors = `${weights.size}, the first is ${first}`;
  return new UnsupportedModelError({
    problem: `${path} is ${known.what}.`,
    details: known === unknownFile ? { tensors } : {},
    advice: known.advice,
  });
}

/** Error for a file without the network that is needed. */
function lacksPart(file: WeightFile, as: Part, known: RecognizedWeights): UnsupportedModelError {
  const { kind, what } = known;
  if (kind === 'unsupported' || kind === 'lora') return notACheckpoint(file, known);
  const needed = partTitles[as];
  return new UnsupportedModelError({
    problem: `${file.path} is ${what}, but a ${needed} is needed there${kind === 'checkpoint' ? ': it has none' : ''}.`,
    advice: `Give the folder or the file of a ${needed}.`,
  });
}

const partTitles: { readonly [K in Part]: string } = {
  unet: 'UNet',
  vae: 'VAE',
  text_encoder: 'text encoder',
  text_encoder_2: 'second text encoder',
  controlnet: 'ControlNet',
};

function otherVae(path: string, channels: unknown): UnsupportedModelError {
  return new UnsupportedModelError({
    problem: `${path} is a VAE of another family (Stable Diffusion 3 or Flux, perhaps), which is not supported.`,
    details: { 'latent channels': `${channels}, Stable Diffusion 1.x, 2.x and XL have 4` },
    advice: 'Use a VAE of Stable Diffusion 1.x, 2.x or XL.',
  });
}
