import { basename, dirname, isAbsolute, resolve } from 'node:path';
import { parseLoraArgument } from '../checkpoint/lora/lora-argument.ts';
import { isAddress, parseHubId } from '../hub/hub-id.ts';
import { pathKind } from '../io/disk.ts';
import { asName } from '../io/error-text.ts';
import type { ItemModels } from './item.ts';
import type { ManifestSource } from './manifest.ts';
import type { Place, ReadManifest } from './read-manifest.ts';
import { refused } from './refused.ts';

/** Finds the models of a checkpoint. Throws `RequestError` for a path that is not there, and for what contradicts its place. */
export async function modelsOfSource(
  read: ReadManifest,
  given: ManifestSource,
  place: Place,
): Promise<ItemModels> {
  const find = (text: string, ...keys: Place): Promise<string> => locate(read, text, [...place, ...keys]);
  const isShort = typeof read.manifest.sources[Number(place[1])] === 'string';
  const modelVersion = await find(given.source, ...(isShort ? [] : ['source']));
  await refuseMisplaced(read, given, modelVersion, place);
  const controlnets: string[] = [];
  for (const [index, each] of (given.controlnets ?? []).entries())
    controlnets.push(await find(each, 'controlnets', index));
  const loras = [];
  for (const [index, each] of (given.loras ?? []).entries()) {
    const { path, scale } = parseLoraArgument(each);
    loras.push({ path: await find(path, 'loras', index), scale });
  }
  return {
    modelVersion,
    revision: given.revision,
    variant: given.weights,
    predictionType: given.predictionType,
    customVaeVersion: given.vae && (await find(given.vae, 'vae')),
    refinerVersion: given.refiner && (await find(given.refiner, 'refiner')),
    ...(controlnets.length > 0 && { controlnets }),
    ...(loras.length > 0 && { loras }),
  };
}

/** Absolute path of a model, or its id on the Hub in a form that no file can be taken for. Throws `RequestError`. */
export async function locate(read: ReadManifest, text: string, place: Place): Promise<string> {
  if (isAddress(text)) return text;
  const path = resolve(dirname(read.path), text);
  if ((await pathKind(path)) !== undefined) return path;
  const id = parseHubId(text);
  if (id === undefined)
    throw refused(
      read,
      place,
      `is not there: nothing is at ${path}`,
      'Paths start from the folder of the manifest; models on the Hub are called org/name.',
    );
  return id.repo.includes('/') ? `hf://${text}` : text;
}

/** What a model is called: `dreamshaper` of a path, or of an id on the Hub. */
export function nameOfModel(model: string): string {
  const id = isAddress(model) ? parseHubId(model) : undefined;
  const last = basename(id ? (id.file ?? id.folder ?? id.repo) : model);
  return last.replace(/\.(safetensors|ckpt|pt|pth|bin|gguf)$/i, '');
}

/** Throws `RequestError` for what is said of the Hub and meant for files, and the other way round. */
async function refuseMisplaced(
  read: ReadManifest,
  { revision, sha256 }: ManifestSource,
  model: string,
  place: Place,
): Promise<void> {
  const kind = isAddress(model) ? undefined : await pathKind(model);
  if (revision !== undefined && kind !== undefined)
    throw refused(read, [...place, 'revision'], 'is of the Hub, and this is on the disk', 'Leave it out.');
  if (sha256 === undefined) return;
  const refuse = (problem: string, advice: string) => refused(read, [...place, 'sha256'], problem, advice);
  if (kind === undefined)
    throw refuse('is of files, and downloads are checked anyway', 'Name a commit as the revision instead.');
  if (kind === 'folder' && typeof sha256 === 'string')
    throw refuse('is of one file, and this is a folder', 'Write path: sha256 for each file to be checked.');
  if (kind === 'file' && typeof sha256 !== 'string')
    throw refuse('is of files in a folder, and this is a file', 'Write the SHA-256 alone.');
  const outside = typeof sha256 === 'string' ? undefined : Object.keys(sha256).find(leadsOut);
  if (outside !== undefined)
    throw refuse(
      `names a file outside of the checkpoint: ${asName(outside)}`,
      'Its paths start from the folder of the checkpoint.',
    );
}

function leadsOut(path: string): boolean {
  return isAbsolute(path) || path.split(/[/\\]/).includes('..');
}
