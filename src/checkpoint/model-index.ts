import { basename, join, resolve } from 'node:path';
import { ConfigError, NotFoundError, UnsupportedModelError } from '../errors.ts';
import { parseHubId } from '../hub/hub-id.ts';
import { listFolder, pathKind } from '../io/disk.ts';
import { asName, firstOf, quote, shown } from '../io/error-text.ts';
import { DAMAGED, type JsonObject, readJsonObject } from '../io/json/python-json.ts';
import { notFound } from '../io/not-found.ts';
import { shellWord } from '../io/shell-word.ts';
import { isOrdinary, isWeightless, recognizePipeline, supportedPipelines } from './recognize/pipelines.ts';

/** The contents of a model_index.json. */
export interface ModelIndex {
  readonly modelIndex: JsonObject;
  /** Its components, in file order; those that are `[null, null]` are left out. */
  readonly parts: readonly ModelPart[];
  /** Notes on what was assumed, a sentence each. */
  readonly notes: readonly string[];
}

/** A component in model_index.json. */
export interface ModelPart {
  readonly name: string;
  readonly className: string;
  readonly folder: string;
}

/**
 * Reads model_index.json. Throws `NotFoundError`, `FileFormatError`, `ConfigError` when it contradicts itself, or
 * `UnsupportedModelError` that names what was given instead of a Stable Diffusion folder.
 */
export async function readModelIndex(path: string): Promise<ModelIndex> {
  const kind = await pathKind(path);
  if (kind === undefined) {
    throw notFound(
      path,
      path.includes('/') && parseHubId(path)
        ? `If it is a model on the Hub, bring it here first: sdconvert download ${shellWord(path)}. If it is a path, check its spelling.`
        : 'Check the spelling of the path, or download the checkpoint first.',
    );
  }
  const file = join(path, 'model_index.json');
  if ((await pathKind(file)) !== 'file') throw await noModelIndex(path);

  const modelIndex = await readJsonObject(file);
  const { _class_name: className } = modelIndex;
  if (typeof className !== 'string') {
    throw new ConfigError({
      problem: `${file} has no _class_name, the class of its pipeline.`,
      details: className === undefined ? {} : { found: shown(className) },
      advice: DAMAGED,
    });
  }
  if (supportedPipelines.includes(className))
    return { modelIndex, parts: listParts(path, file, modelIndex), notes: [] };
  const known = recognizePipeline(className);
  if (!known) {
    const parts = listParts(path, file, modelIndex);
    if (isOrdinary(parts)) return ordinary(modelIndex, parts, className);
  }
  const { what, advice } = known ?? {
    what: 'of a kind that is not supported',
    advice: 'Use a checkpoint of Stable Diffusion 1.x, 2.x or XL.',
  };
  throw new UnsupportedModelError({
    problem: `${path} is ${what}.`,
    details: { expected: 'StableDiffusionPipeline', found: className },
    advice,
  });
}

/** Treats an unknown pipeline with the usual networks as the usual pipeline, without the components that only it has. */
function ordinary(modelIndex: JsonObject, parts: readonly ModelPart[], className: string): ModelIndex {
  const isXl = parts.some(({ name }) => name === 'text_encoder_2');
  const usual = isXl ? 'StableDiffusionXLPipeline' : 'StableDiffusionPipeline';
  const kept = parts.filter((part) => isWeightless(part.className) || usualParts.test(part.name));
  const left = parts.filter((part) => !kept.includes(part)).map((part) => `${part.name} (${part.className})`);
  const entries = Object.entries(modelIndex).filter(
    ([name]) => !parts.some((part) => part.name === name && !kept.includes(part)),
  );
  const note = `${asName(className)} is an unknown pipeline: it is converted as a ${usual}${left.length > 0 ? `, without ${firstOf(left)}` : ''}.`;
  return { modelIndex: { ...Object.fromEntries(entries), _class_name: usual }, parts: kept, notes: [note] };
}

const usualParts = /^(unet|vae|text_encoder(_2)?|safety_checker|controlnet(_\d+)?)$/;

/** Advice for a component alone, by its class. */
const componentAdvice: ReadonlyMap<string, string> = new Map([
  ['AutoencoderKL', 'Name its checkpoint with --model-version, and this folder with --custom-vae-version.'],
  ['ControlNetModel', 'Name its checkpoint with --model-version, and this folder with --convert-controlnet.'],
]);

async function noModelIndex(path: string): Promise<Error> {
  const names = await listFolder(path);
  const artifact = [basename(resolve(path)), ...names].find((name) =>
    /\.(mlpackage|mlmodelc|aimodel|onnx)$/.test(name),
  );
  if (artifact) {
    return new UnsupportedModelError({
      problem: `${path} is a converted model, not a checkpoint.`,
      details: { found: artifact },
      advice: 'Give the diffusers folder that it was made from.',
    });
  }
  if (names.includes('config.json')) {
    const { _class_name: className, model_type: type } = await readJsonObject(join(path, 'config.json'));
    const found = [className, type].find((name) => typeof name === 'string');
    return new UnsupportedModelError({
      problem: `${path} is one component, not a whole checkpoint.`,
      details: { found: found ?? 'a config.json without a class' },
      advice:
        (typeof found === 'string' && componentAdvice.get(found)) ||
        'Give the folder that holds model_index.json, usually the one above.',
    });
  }
  const files = names.filter((name) => /\.(safetensors|ckpt|gguf)$/.test(name));
  if (files.length > 0) {
    return new NotFoundError({
      problem: `${path} is a folder of weight files, not a diffusers checkpoint: it has no model_index.json.`,
      details: { found: names.slice(0, 12).join(', ') },
      advice: `Give one of its files: ${files.slice(0, 6).join(' or ')}.`,
    });
  }
  return new NotFoundError({
    problem: `${path} is not a diffusers checkpoint: it has no model_index.json.`,
    details: { found: names.length > 0 ? names.slice(0, 12).join(', ') : 'an empty folder' },
    advice: 'Give the folder that holds model_index.json; if this is it, the download is not complete.',
  });
}

/** Lists the components: entries such as `"unet": ["diffusers", "UNet2DConditionModel"]`, but not `[null, null]`. */
function listParts(path: string, file: string, modelIndex: JsonObject): readonly ModelPart[] {
  const parts: ModelPart[] = [];
  for (const [name, className] of namedParts(modelIndex, file)) {
    if (!/^\w+$/.test(name)) {
      throw new ConfigError({
        problem: `${file} names a component that is not a valid folder name.`,
        details: { found: quote(name) },
        advice: DAMAGED,
      });
    }
    parts.push({ name, className, folder: join(path, name) });
  }
  if (parts.every(({ className }) => isWeightless(className))) {
    throw new ConfigError({
      problem: `${file} names no network.`,
      details: { expected: EXPECTED },
      advice: DAMAGED,
    });
  }
  return parts;
}

const EXPECTED = 'a library and a class, such as "unet": ["diffusers", "UNet2DConditionModel"]';

/** Components of the pipelines that are converted, with weights and without: none of them is a setting. */
const networks = /^(unet|vae|(text_encoder|controlnet)(_\d+)?|safety_checker|image_encoder)$/;
const weightless = /^(scheduler|tokenizer(_\d+)?|feature_extractor)$/;

/** More components than any pipeline has; each is looked for on the disk. */
const MOST_PARTS = 64;

/**
 * The names and classes of the components in model_index.json. Throws `ConfigError` for more than any pipeline has, and for one
 * without a class of its kind.
 */
export function namedParts(
  modelIndex: JsonObject,
  file: string,
): (readonly [name: string, className: string])[] {
  const parts = Object.entries(modelIndex).flatMap(([name, value]) => {
    const [library, className]: readonly unknown[] = Array.isArray(value) ? value : [value];
    if (library === null) return []; // left out
    const isClass = typeof library === 'string' && typeof className === 'string';
    const wrong = isClass ? [isWeightless(className) ? networks : weightless] : [networks, weightless];
    // What is no class is a setting of the pipeline.
    if (!wrong.some((names) => names.test(name))) return isClass ? [[name, className] as const] : [];
    throw new ConfigError({
      problem: `${file} does not say what its ${name} is.`,
      details: { expected: EXPECTED, found: shown(value) },
      advice: DAMAGED,
    });
  });
  if (parts.length <= MOST_PARTS) return parts;
  throw new ConfigError({
    problem: `${file} names ${parts.length} components, more than any pipeline has.`,
    advice: DAMAGED,
  });
}
