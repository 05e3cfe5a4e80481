import { basename, join, resolve } from 'node:path';
import { NotFoundError } from '../errors.ts';
import { listFolder, pathKind } from '../io/disk.ts';
import type { JsonObject } from '../io/python-json.ts';
import { type Component, type OpenComponent, openComponentFolder } from './component.ts';
import { findWeightFile, type Variant } from './component-weights.ts';
import { type Family, familyOf, kindOf, type UNetKind } from './family.ts';
import { type ModelPart, readModelIndex } from './model-index.ts';
import { isWeightless } from './recognize.ts';
import { openSingleFile } from './single-file/open-single-file.ts';

export type { Component } from './component.ts';

/** An open diffusers folder, or a single file read as one. */
export interface Checkpoint {
  /** The folder's own name; a file's without its ending. */
  readonly name: string;
  readonly path: string;
  readonly modelIndex: JsonObject;
  /** What has weights, by folder name, in the order of model_index.json. */
  readonly components: ReadonlyMap<string, Component>;
  /** What has none (scheduler, tokenizer, feature extractor): the paths of its files, by folder name. */
  readonly folders: ReadonlyMap<string, readonly string[]>;
  /** What model_index.json names but is not on the disk: a checkpoint may be downloaded in parts. */
  readonly missing: readonly string[];
  /** By the UNet; `undefined` without one. */
  readonly family: Family | undefined;
  /** What the UNet was trained for; `undefined` without one, or for something else. */
  readonly kind: UNetKind | undefined;
  /** What was assumed or left aside, a sentence each, for the user to know. */
  readonly notes: readonly string[];
  close(): Promise<void>;
}

export interface CheckpointOptions {
  /** Which weights to take where a component has several; components without them give their plain ones. */
  readonly variant?: Variant;
}

/**
 * Opens a checkpoint of Stable Diffusion, a diffusers folder or a single file (.safetensors, .ckpt), reading
 * configurations and tensor headers only. Throws `NotFoundError`, `FileFormatError`, `ConfigError`, or
 * `UnsupportedModelError` that says what was given instead.
 */
export async function openCheckpoint(path: string, options: CheckpointOptions = {}): Promise<Checkpoint> {
  if ((await pathKind(path)) === 'file') return openSingleFile(path);
  const { modelIndex, parts } = await readModelIndex(path);
  const { present, missing } = await lookForFolders(path, parts);
  if (options.variant) await checkVariant(path, present, options.variant);

  const components = new Map<string, Component>();
  const folders = new Map<string, readonly string[]>();
  const opened: OpenComponent[] = [];
  const close = async () => {
    await Promise.all(opened.map((component) => component.close()));
  };
  try {
    for (const { name, className, folder } of present) {
      if (isWeightless(className)) {
        folders.set(name, await listFiles(folder));
        continue;
      }
      const component = await openComponentFolder(folder, { name, className }, options.variant);
      opened.push(component);
      components.set(name, component);
    }
  } catch (error) {
    await close();
    throw error;
  }
  const name = basename(resolve(path));
  return { name, path, modelIndex, components, folders, missing, ...natureOf(components), notes: [], close };
}

/** The family and kind of a checkpoint with these components. */
export function natureOf(components: ReadonlyMap<string, Component>): Pick<Checkpoint, 'family' | 'kind'> {
  const unet = components.get('unet')?.weights ?? new Map();
  return { family: familyOf(unet), kind: kindOf(unet) };
}

/** A component that is needed. Throws `NotFoundError` when the checkpoint has none, or not on this disk. */
export function requireComponent(checkpoint: Checkpoint, name: string): Component {
  const component = checkpoint.components.get(name);
  if (component) return component;
  const isFolder = [...checkpoint.components.values()].every(({ adapted }) => !adapted);
  if (isFolder && checkpoint.missing.includes(name)) throw notDownloaded(checkpoint.path, [name]);
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
