import { join } from 'node:path';
import type { Checkpoint, Component } from '../../checkpoint/checkpoint.ts';
import { placeSideFile, readSideText, type SideFile, sideFileName } from '../../checkpoint/side-file.ts';
import { exists, listFolder } from '../../io/disk.ts';
import type { Hashed } from '../../io/hashing/write-hashed.ts';
import { isJsonObject, type JsonObject, parsePythonJson } from '../../io/json/python-json.ts';
import {
  checkConfigFile,
  strictJson,
  withoutInfiniteDefaults,
  writeJson,
} from '../../io/json/strict-json.ts';
import type { WrittenFile } from '../artifact.ts';
import { parseName } from '../artifact-id.ts';

/** A model's folder, and the component whose config it gets. */
export interface BundledModel {
  /** Folder name below `onnx/`: `unet`, `unet_chunk1`, `vae_decoder`. */
  readonly folder: string;
  readonly configFile: string;
  /** Content of the config where it differs from the checkpoint's file, which may serve other weights too. */
  readonly config?: JsonObject | undefined;
}

const CONFIG = 'config.json';
const INDEX = 'model_index.json';

/** The config of a model of a component: its own file, or what it says where that differs. */
export function configOf({
  configFile,
  config,
  adapted,
  respelled,
}: Component): Omit<BundledModel, 'folder'> {
  return { configFile, config: adapted || respelled ? config : undefined };
}

/** Writes the config into a model's folder. Throws as `placeSideFile` and `writeJson` do. */
export async function writeConfig(component: Component, folder: string): Promise<void> {
  const { configFile, config } = configOf(component);
  const path = join(folder, CONFIG);
  await (config ? writeJson(path, config, 2, configFile) : placeSideFile(configFile, path));
}

/** Throws what `writeConfig` would, and writes nothing. */
export async function checkConfig(component: Component): Promise<void> {
  const { configFile, config } = configOf(component);
  if (config) strictJson(config, configFile, 0);
  else await checkConfigFile(configFile);
}

/** A file that completes an `onnx/` folder: copied, written as JSON, or (neither) the index of the folder. */
interface FolderFile {
  readonly name: string;
  readonly from?: SideFile;
  readonly json?: JsonObject;
}

/** The files that complete an `onnx/` folder, by path below it. */
export function onnxFolderFiles({ folders }: Checkpoint, models: readonly BundledModel[]): FolderFile[] {
  return [
    ...models.map(({ folder, configFile, config }) => ({
      name: `${folder}/${CONFIG}`,
      ...(config ? { json: config } : { from: configFile }),
    })),
    ...[...folders].flatMap(([folder, files]) =>
      files.map((from) => ({ name: `${folder}/${sideFileName(from)}`, from })),
    ),
    { name: INDEX },
  ];
}

/** Changes a JSON file of the folder for a client, by its path below the folder; others are returned as they are. */
export type FileEdit = (name: string, json: JsonObject) => JsonObject;

/**
 * Completes the `onnx/` folder, so that diffusers-like pipelines (optimum's above all) load it as it is: each model's
 * config, the scheduler, the tokenizer, and a `model_index.json` of the components present. JSON files are changed for a
 * client where there is an `edit`. Returns the files written, by path below the folder.
 */
export async function bundleOnnxFolder(
  checkpoint: Checkpoint,
  models: readonly BundledModel[],
  folder: string,
  edit: FileEdit = (_, json) => json,
): Promise<WrittenFile[]> {
  const written: WrittenFile[] = [];
  for (const { name, from, json } of onnxFolderFiles(checkpoint, models)) {
    const path = join(folder, name);
    const write = async () =>
      from === undefined
        ? writeJson(path, edit(name, json ?? (await modelIndex(checkpoint, folder))))
        : placeEdited(from, path, (found) => edit(name, found));
    written.push({ name, ...(await write()) });
  }
  return written;
}

/** Copies a small file, or writes what an edit makes of it. Throws as `placeSideFile` does. */
export async function placeEdited(
  from: SideFile,
  to: string,
  edit: (json: JsonObject) => JsonObject,
): Promise<Hashed> {
  if (!to.endsWith('.json')) return placeSideFile(from, to);
  const name = typeof from === 'string' ? from : to;
  const json = parsePythonJson(await readSideText(from), name);
  if (!isJsonObject(json)) return placeSideFile(from, to);
  const edited = edit(json);
  return edited === json ? placeSideFile(from, to) : writeJson(to, withoutInfiniteDefaults(edited), 2, name);
}

/** The checkpoint's index without the components that were not converted (a safety checker, say). */
async function modelIndex(checkpoint: Checkpoint, folder: string): Promise<Record<string, unknown>> {
  const present = new Set((await exists(folder)) ? await listFolder(folder) : []);
  const names = [...present].map((name) => parseName(name).whole);
  const parts = new Set(names.map((name) => (name.startsWith('vae_') ? 'vae' : name)));
  const entries = Object.entries(checkpoint.modelIndex).map(([key, value]) => [
    key,
    !Array.isArray(value) || parts.has(key) ? value : [null, null],
  ]);
  const index: Record<string, unknown> = Object.fromEntries(entries);
  if (!parts.has('safety_checker') && 'requires_safety_checker' in index)
    index.requires_safety_checker = false;
  return index;
}
