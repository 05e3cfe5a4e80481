import { basename, join, resolve } from 'node:path';
import { ConfigError, NotFoundError, UnsupportedModelError } from '../errors.ts';
import { parseHubId } from '../hub/hub-id.ts';
import { listFolder, pathKind } from '../io/disk.ts';
import { notFound } from '../io/not-found.ts';
import { type JsonObject, readJsonObject } from '../io/python-json.ts';
import { isOrdinary, isWeightless, recognizePipeline, supportedPipelines } from './recognize/pipelines.ts';

/** What model_index.json says of a checkpoint. */
export interface ModelIndex {
  readonly modelIndex: JsonObject;
  /** Its components that are not `[null, null]`, in its order. */
  readonly parts: readonly ModelPart[];
  /** What was assumed, a sentence each. */
  readonly notes: readonly string[];
}

/** A component as model_index.json names it. */
export interface ModelPart {
  readonly name: string;
  readonly className: string;
  readonly folder: string;
}

/**
 * Reads model_index.json. Throws `NotFoundError`, `FileFormatError`, `ConfigError` when it contradicts itself, or
 * `UnsupportedModelError` that says what was given instead of a folder of Stable Diffusion.
 */
export async function readModelIndex(path: string): Promise<ModelIndex> {
  const kind = await pathKind(path);
  if (kind === undefined) {
    throw notFound(
      path,
      path.includes('/') && parseHubId(path)
        ? `If it is a model on the Hub, bring it here first: sdconvert download ${path}. If it is a path, check its spelling.`
        : 'Check the spelling of the path, or download the checkpoint first.',
    );
  }
  const file = join(path, 'model_index.json');
  if ((await pathKind(file)) !== 'file') throw await noModelIndex(path);

  const modelIndex = await readJsonObject(file);
  const { _class_name: className } = modelIndex;
  if (typeof className !== 'string') {
    throw new ConfigError({ problem: `${file} does not say which pipeline it is: _class_name is missing.` });
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

/** The index of a pipeline that is not known by name, as that of the usual one for its components: those of others leave out what only they use. */
function ordinary(modelIndex: JsonObject, parts: readonly ModelPart[], className: string): ModelIndex {
  const isXl = parts.some(({ name }) => name === 'text_encoder_2');
  const usual = isXl ? 'StableDiffusionXLPipeline' : 'StableDiffusionPipeline';
  const kept = parts.filter((part) => isWeightless(part.className) || usualParts.test(part.name));
  const left = parts.filter((part) => !kept.includes(part)).map((part) => `${part.name} (${part.className})`);
  const entries = Object.entries(modelIndex).filter(
    ([name]) => !parts.some((part) => part.name === name && !kept.includes(part)),
  );
  const note = `${className} is not a pipeline that is known: its networks are those of ${usual}, and are converted${left.length > 0 ? ` without ${left.join(', ')}` : ''}.`;
  return { modelIndex: { ...Object.fromEntries(entries), _class_name: usual }, parts: kept, notes: [note] };
}

const usualParts = /^(unet|vae|text_encoder(_2)?|safety_checker|controlnet(_\d+)?)$/;

/** What to do with a component alone, by its class. */
const componentAdvice: ReadonlyMap<string, string> = new Map([
  ['AutoencoderKL', 'Name the checkpoint that it is for, and this with --custom-vae-version.'],
  ['ControlNetModel', 'Name the checkpoint that it was made for, and this with --convert-controlnet.'],
]);

async function noModelIndex(path: string): Promise<Error> {
  const names = await listFolder(path);
  const artifact = [basename(resolve(path)), ...names].find((name) =>
    /\.(mlpackage|mlmodelc|onnx)$/.test(name),
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
      details: { found: found ?? 'a config.json that does not say of what' },
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

/** The entries of model_index.json that are there: `"unet": ["diffusers", "UNet2DConditionModel"]`; `[null, null]` is absent. */
function listParts(path: string, file: string, modelIndex: JsonObject): readonly ModelPart[] {
  const parts: ModelPart[] = [];
  for (const [name, value] of Object.entries(modelIndex)) {
    if (!Array.isArray(value)) continue; // settings of the pipeline
    const [, className] = value;
    if (typeof className !== 'string') continue;
    if (!/^\w+$/.test(name)) {
      throw new ConfigError({
        problem: `${file} names a component that cannot be a folder.`,
        details: { found: JSON.stringify(name) },
      });
    }
    parts.push({ name, className, folder: join(path, name) });
  }
  if (parts.every(({ className }) => isWeightless(className))) {
    throw new ConfigError({ problem: `${file} names no network.` });
  }
  return parts;
}
