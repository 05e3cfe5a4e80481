import { basename, dirname, join, resolve, sep } from 'node:path';
import type { Checkpoint, Component } from '../../checkpoint/checkpoint.ts';
import { fingerprintOf } from '../../checkpoint/fingerprint.ts';
import { OutputExistsError, RequestError } from '../../errors.ts';
import { type CheckpointIdentity, isConversion, readProvenance } from '../../formats/provenance.ts';
import { exists, listFolder, pathKind } from '../../io/disk.ts';
import { filesBelow } from '../../io/file-sizes.ts';
import { isWithin } from '../../io/path-from.ts';
import { realPlace } from '../../io/real-place.ts';
import { remoteFile } from '../../io/remote-files.ts';

/**
 * Chooses the output folder: the requested one, or else `./<name>` (without the organisation), or `./<name>-sdconvert` if
 * `./<name>` is a checkpoint.
 */
export async function outputFolder(wanted: string | undefined, { name, path }: Checkpoint): Promise<string> {
  if (wanted !== undefined) return wanted;
  const own = basename(name);
  const isTaken = resolve(own) === resolve(path) || (await isCheckpoint(own));
  return isTaken ? `${own}-sdconvert` : own;
}

/**
 * Throws `RequestError` for an output that is a checkpoint, this one or another, or is one of its own folders, and for one that has
 * the checkpoint where one of `folders`, as seen from it, will be written.
 */
export async function refuseCheckpoint(
  output: string,
  { path, components }: Checkpoint,
  folders: readonly string[],
): Promise<void> {
  const place = await realPlace(output);
  const files = new Set([...components.values()].flatMap(({ files: own }) => own.map(dirname)));
  const own = await Promise.all([...files].map(realPlace));
  for (const folder of folders)
    if (own.some((each) => isWithin(each, join(place, folder))))
      throw new RequestError({
        problem: `${join(output, folder)} holds the checkpoint to convert, and the conversion would be written there.`,
        advice: `Name another --output, such as ${join(dirname(place), `${basename(place)}-sdconvert`)}`,
      });
  // The folder of a single-file checkpoint is any folder of models, so it may be the output.
  const isOwn =
    (await pathKind(path)) === 'folder' && (place === (await realPlace(path)) || own.includes(place));
  if (!isOwn && !(await isCheckpoint(output))) return;
  throw new RequestError({
    problem: `${output} is a checkpoint${isOwn ? ', the one to convert' : ''}: nothing is written into it.`,
    advice: `Name another --output, such as ${join(dirname(place), `${basename(place)}-sdconvert`)}`,
  });
}

/** Whether a folder is a checkpoint. A conversion's onnx folder has a model_index.json too, but also an sdconvert.json. */
async function isCheckpoint(folder: string): Promise<boolean> {
  if (!(await exists(join(folder, 'model_index.json')))) return false;
  return (
    (await readProvenance(folder)) === undefined &&
    (await readProvenance(dirname(resolve(folder)))) === undefined
  );
}

/** The checkpoint that an output folder belongs to. */
export interface Owner {
  /** Identity of its checkpoint once this conversion is written. */
  readonly checkpoint: CheckpointIdentity;
  /** Results of another checkpoint, by path. */
  readonly foreign: readonly string[];
  /** Reason why nothing can be written there without `force`. */
  readonly obstacle?: OutputExistsError;
}

/**
 * Finds out whether an output folder belongs to this checkpoint: it is empty, or its record is of the same weights. Two
 * checkpoints in one folder would be loaded as one.
 */
export async function ownerOf(
  output: string,
  name: string,
  components: readonly Component[],
): Promise<Owner> {
  const own: Record<string, string> = {};
  // Of what is not downloaded for a dry run no weights are read; the name and the files' hashes have to do.
  const isRead = ({ files }: Component): boolean => !files.some((file) => remoteFile(file));
  for (const component of components.filter(isRead)) own[component.name] ??= await fingerprintOf(component);
  const provenance = await readProvenance(output);
  const other = provenance?.checkpoint;
  if (!provenance) {
    const found = await strangers(output);
    // Another run may have written what was seen.
    if (found.obstacle && (await readProvenance(output))) return ownerOf(output, name, components);
    return { checkpoint: { name, components: own }, foreign: [], ...found };
  }
  if (!other || isSame(other, { name, components: own })) {
    const all = { ...other?.components, ...own };
    const sorted = Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1));
    return { checkpoint: { name: other?.name ?? name, components: Object.fromEntries(sorted) }, foreign: [] };
  }
  return {
    checkpoint: { name, components: own },
    // A run that was killed may have written what it had not recorded yet.
    foreign: [...Object.keys(provenance.artifacts), ...(provenance.pending ?? [])],
    obstacle: new OutputExistsError({
      problem: `${output} holds a conversion of ${describe(other, name)}: two checkpoints in one folder would be loaded as one.`,
      details: { 'to convert': name },
      advice: 'Name another --output, or pass --force to replace that conversion.',
    }),
  };
}

/** Names another checkpoint, also if it has the same name. */
function describe({ name }: CheckpointIdentity, own: string): string {
  return name === own ? `other weights that are also called ${name}` : name;
}

/**
 * Whether two checkpoints are the same: their common components have the same weights, or without common components their
 * names are equal. ControlNets do not count, because users add and replace them next to a checkpoint one at a time.
 */
function isSame(a: CheckpointIdentity, b: CheckpointIdentity): boolean {
  const common = Object.keys(a.components).filter(
    (key) => Object.hasOwn(b.components, key) && !key.startsWith('controlnet'),
  );
  if (common.length === 0) return a.name === b.name;
  return common.every((key) => a.components[key] === b.components[key]);
}

/** Refuses an output folder without a record that has files in it. */
async function strangers(output: string): Promise<{ obstacle?: OutputExistsError }> {
  if ((await pathKind(output)) !== 'folder') return {};
  const names: string[] = [];
  for (const name of await listFolder(output)) {
    // A folder may contain other conversions: `-o out/sd15` and then `-o out`.
    const path = join(output, name);
    if (!name.startsWith('.') && !(await isConversion(path)) && (await holdsFiles(path))) names.push(name);
  }
  if (names.length === 0) return {};
  const more = names.length > 4 ? ', …' : '';
  return {
    obstacle: new OutputExistsError({
      problem: `${output} holds files that sdconvert did not write: ${names.slice(0, 4).join(', ')}${more}.`,
      advice: `Name a folder of its own, such as ${join(output, 'sdconvert').replaceAll(sep, '/')}, or pass --force to write beside them.`,
    }),
  };
}

/** Whether a path is a file, or a folder with any: a run for which a disk had no room may leave folders without. */
async function holdsFiles(path: string): Promise<boolean> {
  if ((await pathKind(path)) !== 'folder') return true;
  const { done = false } = await filesBelow(path).next();
  return !done;
}
