import { basename, dirname, join } from 'node:path';
import type { WrittenFile } from '../formats/artifact.ts';
import { isWrittenName } from '../formats/artifact-id.ts';
import { damagedFiles } from '../formats/damage.ts';
import { endings, type Format, formatOfEnding, writtenFormats } from '../formats/format.ts';
import { readProvenance } from '../formats/provenance.ts';
import { pathKind, removePath } from '../io/disk.ts';
import { removeEmptyFolders } from '../io/empty-folders.ts';
import { filesBelow } from '../io/file-sizes.ts';
import { hashFile } from '../io/hashing/hash-file.ts';
import type { Profile } from './profiles/profile.ts';
import { profiles } from './profiles/profiles.ts';

/**
 * Removes what conversions wrote of what is on record at some paths of an output folder, and the folders that are empty then. Records
 * may come from anybody, and name what they like: a model goes with all that is in its folder if conversions write one under its name,
 * and of a client's folder everything that is as on record. Throws what reading and removing throw.
 */
export async function removeWritten(
  output: string,
  paths: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  const { artifacts = {} } = (await readProvenance(output)) ?? {};
  for (const path of paths) {
    if (isWrittenModel(path)) await removeEntry(output, path);
    else if (clientFolders.has(path)) await removeBundled(output, path, artifacts[path]?.files ?? [], signal);
  }
}

const clientFolders: ReadonlyMap<string, Profile> = new Map(
  Object.values(profiles).map((profile) => [profile.folder, profile]),
);

/** Whether conversions write a model at a path of their output folder: under such a name, and in that folder. */
function isWrittenModel(path: string): boolean {
  const folder = dirname(path);
  const profile = clientFolders.get(folder);
  if (!profile && folder !== '.') return false;
  const format = profile ? formatFor(profile) : 'mlpackage';
  const ending = format === 'onnx' ? '' : endings[format];
  if (!path.endsWith(ending)) return false;
  const name = basename(path, ending);
  const { packageNames } = profile?.form?.coreMl ?? {};
  return packageNames ? packageNames.some((each) => each.test(name)) : isWrittenName(name, format);
}

/** The format of the models in a client's folder. */
function formatFor({ target, form }: Profile): Format {
  return target === 'coreml' && !form ? 'mlmodelc' : writtenFormats[target];
}

/** Removes what is in a client's folder: models of ours, and of all else what is as on record. */
async function removeBundled(
  output: string,
  folder: string,
  files: readonly WrittenFile[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const modelOf = ({ name }: WrittenFile): string => `${folder}/${name.split('/', 1)[0]}`;
  const models = new Set(files.map(modelOf).filter(isWrittenModel));
  for (const model of models) await removeEntry(output, model);
  const others = files.filter((file) => !models.has(modelOf(file)));
  // Read in any case: the dates of a record from elsewhere say nothing.
  const scrutiny = { hash: (path: string) => hashFile(path, signal), since: 0 };
  const own = new Set(others.map(({ name }) => `${folder}/${name}`));
  for await (const { name } of damagedFiles(join(output, folder), others, scrutiny))
    own.delete(`${folder}/${name}`);
  for (const entry of new Set(others.map(({ name }) => entryOf(`${folder}/${name}`))))
    await removeEntry(output, entry, await isOwn(output, entry, own));
}

/** What appears and goes as one: the compiled model that a file is part of, such as a ControlNet of any name, or the file. */
function entryOf(path: string): string {
  return /^.+?\.mlmodelc(?=\/)/.exec(path)?.[0] ?? path;
}

/** Whether an entry of the output is one of these files, or a compiled model of these alone. */
async function isOwn(output: string, entry: string, files: ReadonlySet<string>): Promise<boolean> {
  if (files.has(entry)) return true;
  const isModel = formatOfEnding(entry) === 'mlmodelc' && (await pathKind(join(output, entry))) === 'folder';
  if (!isModel) return false;
  for await (const { name } of filesBelow(join(output, entry)))
    if (!files.has(`${entry}/${name}`)) return false;
  return true;
}

/** Removes an entry of the output, if it is there and ours, and the folders above it that are empty: a run that was killed leaves such. */
async function removeEntry(output: string, path: string, isOurs = true): Promise<void> {
  const place = join(output, path);
  if (isOurs) await removePath(place);
  const [top = ''] = path.split('/');
  if (top !== path) await removeEmptyFolders(dirname(place), join(output, top));
}
