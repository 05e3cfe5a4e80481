import { join, posix } from 'node:path';
import { type Context, inStage } from '../../context.ts';
import { DownloadError } from '../../errors.ts';
import { sizeOf } from '../../hub/hub-cache.ts';
import type { Follower, OnBytes } from '../../hub/hub-client.ts';
import { idText, isWeightFile, requireHubId } from '../../hub/hub-id.ts';
import type { HubOptions } from '../../hub/hub-options.ts';
import { folderOf, type ShownFile, type Snapshot, withSnapshot } from '../../hub/snapshot.ts';
import { openFile } from '../../io/disk.ts';
import { count, formatBytes } from '../../text.ts';
import { lacks, type Wanted } from './choose-files.ts';
import { choosers, type Purpose } from './choosers.ts';

/** A model of the Hub that can be read by a path. */
export interface ResolvedModel {
  /** Path in the cache of its folder or its single file. */
  readonly path: string;
  /** Folder of the repository in the cache. */
  readonly folder: string;
  /** Repository, and the file or folder if one is meant. Differs from the requested one when the model moved. */
  readonly id: string;
  readonly repo: string;
  readonly commit: string;
  /** Files that are needed, by their paths in the repository. */
  readonly files: readonly ShownFile[];
  /** Notes for the user, a sentence each. */
  readonly notes: readonly string[];
  /** Ends what `show` began. */
  close(): Promise<void>;
}

/**
 * What is wanted of a repository, and how. Of the networks that are not needed (`isNeeded`) only what is read comes: their
 * configs and the headers of their weights tell what the checkpoint is.
 */
export interface Resolving extends HubOptions, Wanted {
  /** `checkpoint` when left out. */
  readonly purpose?: Purpose | undefined;
  /** The part that is wanted of a checkpoint: `vae`. Of a repository that is one, its folder is taken. */
  readonly component?: string | undefined;
  /** Whether files are only made readable: of weights, nothing is downloaded but what is read. */
  readonly show?: boolean | undefined;
}

/**
 * Finds a model of the Hub in the cache and downloads the missing files that are needed. It is named in any way that
 * `parseHubId` understands. Throws `RequestError`, `RepositoryNotFoundError`, `NotFoundError`, `DownloadError`,
 * `DiskSpaceError`, `UnsupportedModelError` and `InterruptedError`.
 */
export async function resolveModel(
  text: string,
  options: Resolving,
  context: Context = {},
): Promise<ResolvedModel> {
  const id = requireHubId(text, options.endpoint);
  const { purpose = 'checkpoint', show = false } = options;
  const revision = id.revision ?? options.revision;
  return inDownload(context, (follower) =>
    withSnapshot(id.repo, { ...options, revision }, follower, async (whole) => {
      // What is measured needs its neighbours.
      const named = purpose === 'measured' ? undefined : id.folder;
      const folder = named ?? folderOfComponent(whole, options.component);
      const snapshot = folder === undefined ? whole : folderOf(whole, folder);
      if (snapshot.names.length === 0) throw lacks(whole, `folder ${folder}`);
      const choose = choosers[purpose];
      const { names: all, file } = await choose(snapshot, id, { ...options, isNeeded: undefined });
      const names = options.isNeeded ? (await choose(snapshot, id, options)).names : all;
      const needed = new Set(names);
      const others = all.filter((name) => !needed.has(name));
      const { files, detail, close } = await (show ? showFiles : bringFiles)(
        snapshot,
        names,
        others,
        context,
      );
      const path = file === undefined ? snapshot.folder : join(snapshot.folder, file);
      const { repo, commit } = snapshot;
      const inRepository = files.map((each) => ({ ...each, name: posix.join(folder ?? '', each.name) }));
      const facts = { id: idText({ ...id, repo, file }), repo, commit, files: inRepository };
      const output = { path, folder: whole.folder, ...facts, close };
      return { output, detail };
    }),
  );
}

function folderOfComponent({ names }: Snapshot, component = ''): string | undefined {
  return names.includes('model_index.json') && names.includes(`${component}/config.json`)
    ? component
    : undefined;
}

/** Brings files, and shows others beside them; where a server gives no parts of files, these have to come, too. */
async function bringFiles(
  snapshot: Snapshot,
  names: readonly string[],
  others: readonly string[],
  context: Context,
) {
  const { files: beside, close } = await snapshot.show(others);
  try {
    const isShown = await givesParts(snapshot, beside);
    if (!isShown) await close();
    const { files, detail } = await bring(snapshot, isShown ? names : [...names, ...others], context);
    return { files: files.map((file) => ({ ...file, isCached: true })), detail, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Whether weights that are shown can be read: not every server gives parts of files. */
async function givesParts({ folder }: Snapshot, shown: readonly ShownFile[]): Promise<boolean> {
  const elsewhere = shown.find(({ name, isCached }) => !isCached && isWeightFile(name));
  if (!elsewhere) return true;
  const file = await openFile(join(folder, elsewhere.name));
  try {
    await file.read(new Uint8Array(1), 0);
    return true;
  } catch (error) {
    if (error instanceof DownloadError) return false;
    throw error;
  } finally {
    await file.close();
  }
}

async function showFiles(snapshot: Snapshot, names: readonly string[], others: readonly string[]) {
  const { files: shown, close } = await snapshot.show([...names, ...others]);
  const needed = new Set(names);
  const files = shown.filter(({ name }) => needed.has(name));
  const bytesOf = (some: readonly ShownFile[]) => some.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const missing = bytesOf(files.filter(({ isCached }) => !isCached));
  const where = missing === 0 ? 'in the cache' : `${formatBytes(missing)} of it not in the cache`;
  const detail = `${snapshot.repo}: ${count(files.length, 'file')}, ${formatBytes(bytesOf(files))}, ${where}`;
  return { files, detail, close };
}

/** Runs the stage `download`, and adds its notes to the result. */
export async function inDownload<T>(
  context: Context,
  work: (follower: Follower) => Promise<{ readonly output: T; readonly detail: string }>,
): Promise<T & { readonly notes: readonly string[] }> {
  const notes: string[] = [];
  const note = (message: string): void => {
    notes.push(message);
    context.onProgress?.({ type: 'note', message });
  };
  return inStage('download', context, async () => {
    const { output, detail } = await work({ signal: context.signal, note });
    return { output: { ...output, notes }, detail };
  });
}

/**
 * Downloads files of a snapshot with progress, `isThorough` as `Snapshot.bring`; returns them with their sizes, and a summary in words.
 */
export async function bring(
  snapshot: Snapshot,
  names: readonly string[],
  { onProgress }: Context,
  isThorough = false,
) {
  const onBytes: OnBytes = (what, done, total) =>
    onProgress?.({ type: 'progress', stage: 'download', what, done, total, unit: 'bytes' });
  const came = await snapshot.bring(names, onBytes, isThorough);
  const files = await Promise.all(
    names.map(async (name) => ({ name, byteLength: (await sizeOf(join(snapshot.folder, name))) ?? 0 })),
  );
  const size = formatBytes(files.reduce((bytes, { byteLength }) => bytes + byteLength, 0));
  const how = came === 0 ? 'in the cache' : `${formatBytes(came)} downloaded`;
  return { files, detail: `${snapshot.repo}: ${count(names.length, 'file')}, ${size}, ${how}` };
}
