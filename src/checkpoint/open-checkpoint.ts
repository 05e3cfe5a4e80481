import { basename, join, resolve } from 'node:path';
import { NotFoundError, UnsupportedModelError } from '../errors.ts';
import { checkArguments, object, text } from '../io/check-call.ts';
import { listFolder, pathKind } from '../io/disk.ts';
import { folderInsteadOfFile } from '../io/disk-errors.ts';
import { repositoryOf, snapshotOf } from './cache-folder.ts';
import { type Checkpoint, natureOf, notDownloaded, notesOnComponents } from './checkpoint.ts';
import { type Component, type OpenComponent, openComponentFolder } from './component.ts';
import { findWeightFile, type Variant } from './component-weights.ts';
import { type ModelPart, readModelIndex } from './model-index.ts';
import { isWeightless } from './recognize/pipelines.ts';
import { readSideJson, type SideFile, sideFileCalled } from './side-file.ts';
import { openSingleFile, type SingleFileOptions } from './single-file/open-single-file.ts';
import { type PredictionType, predictionTitles } from './single-file/prediction.ts';
import { completeTokenizer } from './tokenizer-files.ts';

/** Options for opening a checkpoint. */
export interface CheckpointOptions extends SingleFileOptions {
  /** Variant of the weights; components without it use their plain weights. */
  readonly variant?: Variant | undefined;
}

/**
 * Opens a checkpoint of Stable Diffusion, a diffusers folder or a single file (.safetensors, .ckpt). Reads configs and
 * tensor headers only. Throws `NotFoundError`, `FileFormatError`, `ConfigError`, or `UnsupportedModelError` that names
 * what was given instead.
 */
export async function openCheckpoint(given: string, options: CheckpointOptions = {}): Promise<Checkpoint> {
  checkArguments('openCheckpoint', { path: [given, text], options: [options, object] });
  const path = await snapshotOf(given);
  if ((await pathKind(path)) === 'file') return openSingleFile(path, options);
  const { modelIndex, parts, notes: read } = await readModelIndex(path);
  const assumed = [...read];
  if (options.strict && read[0] !== undefined) throw unknownPipeline(path, read[0]);
  const { present, missing } = await lookForFolders(path, parts);
  if (options.variant) await checkVariant(path, present, options.variant);

  const components = new Map<string, Component>();
  const folders = new Map<string, readonly SideFile[]>();
  const opened: OpenComponent[] = [];
  const close = async () => {
    await Promise.all(opened.map((component) => component.close()));
  };
  try {
    for (const { name, className, folder } of present) {
      if (isWeightless(className)) {
        const files = await listFiles(folder);
        folders.set(name, /^tokenizer(_\d+)?$/.test(name) ? await completeTokenizer(files) : files);
        continue;
      }
      const component = await openComponentFolder(folder, { name, className }, options);
      opened.push(component);
      components.set(name, component);
    }
  } catch (error) {
    await close();
    throw error;
  }
  const name = repositoryOf(given) ?? basename(resolve(given));
  const nature = natureOf(components);
  if (options.predictionType) assumed.push(...(await predicting(folders, options.predictionType)));
  const notes = [
    ...assumed,
    ...opened.flatMap((component) => component.notes),
    ...notesOnComponents(components, nature.family),
  ];
  return { name, path, modelIndex, components, folders, missing, ...nature, notes, close };
}

/** Sets the prediction type in the scheduler's config. */
async function predicting(
  folders: Map<string, readonly SideFile[]>,
  type: PredictionType,
): Promise<string[]> {
  const files = folders.get('scheduler') ?? [];
  const file = sideFileCalled(files, SCHEDULER);
  if (file === undefined) return ['The prediction type has no effect: the checkpoint has no scheduler.'];
  const config = await readSideJson(files, SCHEDULER);
  const text = `${JSON.stringify({ ...config, prediction_type: type }, null, 2)}\n`;
  folders.set('scheduler', [...files.filter((each) => each !== file), { name: SCHEDULER, text }]);
  return [`The UNet predicts ${predictionTitles[type]}, as requested.`];
}

const SCHEDULER = 'scheduler_config.json';

function unknownPipeline(path: string, found: string): UnsupportedModelError {
  return new UnsupportedModelError({
    problem: `${path} is of a kind that is not supported.`,
    details: { found },
    advice: 'Leave out --strict to convert the networks that are known.',
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
  const misplaced = paths.find((path, i) => kinds[i] === 'folder' && /\.(json|txt|model)$/.test(path));
  if (misplaced !== undefined) throw folderInsteadOfFile(misplaced);
  return paths.filter((_, i) => kinds[i] === 'file');
}
