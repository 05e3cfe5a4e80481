import { basename, join, resolve } from 'node:path';
import { NotFoundError } from '../errors.ts';
import {
  type ComponentWeights,
  findWeightFile,
  openComponentWeights,
  type Variant,
} from './component-weights.ts';
import { listFolder, pathKind } from './disk.ts';
import { type ModelPart, readModelIndex } from './model-index.ts';
import { type JsonObject, readJsonObject } from './python-json.ts';
import { isWeightless } from './recognize.ts';
import type { Weight } from './weight.ts';

/** A network of a checkpoint: its configuration, and its weights unread. */
export interface Component {
  /** Its folder: `unet`, `vae`, `text_encoder`, … */
  readonly name: string;
  /** Its class in model_index.json, e.g. `UNet2DConditionModel`. */
  readonly className: string;
  readonly config: JsonObject;
  /** The file that `config` comes from, for error messages. */
  readonly configFile: string;
  /** Every tensor by name. */
  readonly weights: ReadonlyMap<string, Weight>;
  /** The weight files, by path. */
  readonly files: readonly string[];
}

/** An open diffusers folder. */
export interface Checkpoint {
  /** The folder's own name. */
  readonly name: string;
  readonly path: string;
  readonly modelIndex: JsonObject;
  /** What has weights, by folder name, in the order of model_index.json. */
  readonly components: ReadonlyMap<string, Component>;
  /** What has none (scheduler, tokenizer, feature extractor): the paths of its files, by folder name. */
  readonly folders: ReadonlyMap<string, readonly string[]>;
  /** What model_index.json names but is not on the disk: a checkpoint may be downloaded in parts. */
  readonly missing: readonly string[];
  close(): Promise<void>;
}

export interface CheckpointOptions {
  /** Which weights to take where a component has several; components without them give their plain ones. */
  readonly variant?: Variant;
}

/**
 * Opens a diffusers folder of Stable Diffusion 1.x or 2.x, reading configurations and tensor headers only. Throws
 * `NotFoundError`, `FileFormatError`, `ConfigError`, or `UnsupportedModelError` that says what was given instead.
 */
export async function openCheckpoint(path: string, options: CheckpointOptions = {}): Promise<Checkpoint> {
  const { modelIndex, parts } = await readModelIndex(path);
  const { present, missing } = await lookForFolders(path, parts);
  if (options.variant) await checkVariant(path, present, options.variant);

  const components = new Map<string, Component>();
  const folders = new Map<string, readonly string[]>();
  const opened: ComponentWeights[] = [];
  const close = async () => {
    await Promise.all(opened.map((weights) => weights.close()));
  };
  try {
    for (const { name, className, folder } of present) {
      if (isWeightless(className)) {
        folders.set(name, await listFiles(folder));
        continue;
      }
      const configFile = join(folder, 'config.json');
      const config = await readJsonObject(configFile);
      const component = await openComponentWeights(folder, options.variant);
      opened.push(component);
      const { files, weights } = component;
      components.set(name, { name, className, config, configFile, weights, files });
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { name: basename(resolve(path)), path, modelIndex, components, folders, missing, close };
}

/** A component that is needed. Throws `NotFoundError` when the checkpoint has none, or not on this disk. */
export function requireComponent(checkpoint: Checkpoint, name: string): Component {
  const component = checkpoint.components.get(name);
  if (component) return component;
  if (checkpoint.missing.includes(name)) throw notDownloaded(checkpoint.path, [name]);
  throw new NotFoundError({
    problem: `${checkpoint.path} has no ${name}.`,
    details: { 'it has': [...checkpoint.components.keys()].join(', ') },
    advice: 'Leave it out of what is to be converted.',
  });
}

async function lookForFolders(path: string, parts: readonly ModelPart[]) {
  const present: ModelPart[] = [];
  const missing: string[] = [];
  for (const part of parts) {
    if ((await pathKind(part.folder)) === 'folder') present.push(part);
    else missing.push(part.name);
  }
  if (present.every(({ className }) => isWeightless(className))) throw notDownloaded(path, missing);
  return { present, missing };
}

function notDownloaded(path: string, names: readonly string[]): NotFoundError {
  return new NotFoundError({
    problem: `${path} lacks its ${names.join(', ')}.`,
    details: { 'named in': join(path, 'model_index.json') },
    advice: 'The download is not complete: download what is missing.',
  });
}

async function checkVariant(path: string, parts: readonly ModelPart[], variant: Variant): Promise<void> {
  for (const { folder } of parts) {
    if (findWeightFile(await listFolder(folder), variant)) return;
  }
  throw new NotFoundError({
    problem: `${path} has no ${variant} weights.`,
    advice: 'Leave out the variant to use the plain weights.',
  });
}

async function listFiles(folder: string): Promise<readonly string[]> {
  const paths = (await listFolder(folder)).map((name) => join(folder, name));
  const kinds = await Promise.all(paths.map(pathKind));
  return paths.filter((_, i) => kinds[i] === 'file');
}
