import { join } from 'node:path';
import { DownloadError, NotFoundError, RepositoryNotFoundError, SdConvertError } from '../errors.ts';
import { showRemoteFiles } from '../io/remote-files.ts';
import { refuseDamagedFiles } from './damaged-blob.ts';
import { downloadFiles } from './download-files.ts';
import { repositoryCache, sizeOf } from './hub-cache.ts';
import { type Follower, type HubFile, isCommit, type OnBytes, openRepository } from './hub-client.ts';
import { isWeightFile } from './hub-id.ts';
import type { HubOptions } from './hub-options.ts';
import { movedTo } from './moved-models.ts';
import { remoteHubFile } from './remote-hub-file.ts';
import { LARGEST_SMALL } from './whole-file.ts';

/** One commit of a repository: on the Hub, or as much of it as is in the cache. */
export interface Snapshot {
  readonly repo: string;
  readonly commit: string;
  /** The branch, tag or commit that was asked for; the newest commit when left out. */
  readonly revision?: string | undefined;
  /** Its folder in the cache. */
  readonly folder: string;
  /** The files that there are, as paths with `/`. */
  readonly names: readonly string[];
  /** Whether only the cache was asked. */
  readonly isCached: boolean;
  /**
   * Brings files into the folder; gives how many bytes had to come. Small files that are there are compared with the Hub's hashes,
   * where `isThorough` all are; of the cache alone these, with their names there.
   */
  bring(names: readonly string[], onBytes?: OnBytes, isThorough?: boolean): Promise<number>;
  /** Makes files readable in the folder until it is closed: small ones come, of weights only what is read of them. */
  show(names: readonly string[]): Promise<ShownFiles>;
}

/** Files that are shown, and where they are. */
export interface ShownFiles {
  readonly files: readonly ShownFile[];
  close(): Promise<void>;
}

/** A file that a model needs. */
export interface ShownFile {
  readonly name: string;
  readonly byteLength: number;
  /** Whether it was in the cache before. */
  readonly isCached: boolean;
}

const newest = 'main';

/**
 * Opens a repository for `use`. Falls back to the cache when the Hub is unreachable or the repository is gone, and follows
 * models that moved; notes tell of both. Throws `RepositoryNotFoundError`,
 * `NotFoundError` when offline and not in the cache, `DownloadError`, and what `use` throws.
 */
export async function withSnapshot<T>(
  repo: string,
  options: HubOptions,
  follower: Follower,
  use: (snapshot: Snapshot) => Promise<T>,
): Promise<T> {
  const moved = movedTo(repo);
  const cached = await openCached(repo, options, follower);
  if (options.offline) {
    const found = cached ?? (moved === undefined ? undefined : await openCached(moved, options, follower));
    if (found) return use(found);
    throw notInCache(repo, options);
  }
  // Where the cache may do, the Hub is not waited for at first.
  const opened = await openOnline(repo, options, follower, cached && 1).catch(unlessAway);
  if (!(opened instanceof SdConvertError)) return use(opened);
  const isGone = opened instanceof RepositoryNotFoundError;
  const result = await (cached && use(cached).catch(unlessNotFound));
  if (cached && result !== undefined) {
    const why = isGone ? 'the Hub does not show it now' : 'the Hub cannot be reached';
    follower.note(`${repo} comes from the cache (commit ${cached.commit.slice(0, 7)}): ${why}.`);
    return result;
  }
  if (!isGone && cached) return use(await openOnline(repo, options, follower));
  if (!isGone || moved === undefined) throw opened;
  follower.note(`${repo} is no longer on the Hub: using ${moved}, where it lives now.`);
  return withSnapshot(moved, options, follower, use);
}

/** Opens the cached part of a repository's revision; `undefined` when nothing is cached. */
async function openCached(
  repo: string,
  options: HubOptions,
  { signal }: Follower,
): Promise<Snapshot | undefined> {
  const cache = repositoryCache(options.cacheDir, repo);
  const commit = await cache.readRef(options.revision ?? newest);
  const names = commit ? await cache.files(commit) : [];
  if (!commit || names.length === 0) return undefined;
  const folder = cache.snapshot(commit);
  return {
    repo,
    commit,
    revision: options.revision,
    folder,
    names,
    isCached: true,
    async bring(wanted, onBytes, isThorough) {
      if (isThorough) await refuseDamagedFiles(folder, wanted, { onBytes, signal });
      return 0;
    },
    async show(wanted) {
      const files = wanted.map(async (name) => {
        return { name, byteLength: (await sizeOf(join(folder, name))) ?? 0, isCached: true };
      });
      return { files: await Promise.all(files), close: async () => {} };
    },
  };
}

async function openOnline(
  repo: string,
  options: HubOptions,
  follower: Follower,
  attempts?: number,
): Promise<Snapshot> {
  const { revision = newest } = options;
  const repository = openRepository(repo, options, follower);
  const cache = repositoryCache(options.cacheDir, repo);
  const commit = await repository.commitOf(revision, attempts);
  const files = await repository.list(commit);
  const byName = new Map(files.map((file) => [file.path, file]));
  const folder = cache.snapshot(commit);
  const bring = async (
    wanted: readonly HubFile[],
    onBytes: OnBytes = () => {},
    isThorough = false,
  ): Promise<number> => {
    await cache.writeRef(revision, commit);
    const request = { repository, cache, commit, files: wanted, options, isThorough, onBytes };
    return downloadFiles(request, follower);
  };
  return {
    repo,
    commit,
    revision: options.revision,
    folder,
    names: [...byName.keys()],
    isCached: false,
    bring: (names, onBytes, isThorough) =>
      bring(
        names.flatMap((name) => byName.get(name) ?? []),
        onBytes,
        isThorough,
      ),
    async show(names) {
      const shown: (ShownFile & { readonly file: HubFile })[] = [];
      for (const file of names.flatMap((name) => byName.get(name) ?? [])) {
        const sizes = [join(folder, file.path), cache.blob(file.oid)].map(sizeOf);
        const isCached = (await Promise.all(sizes)).includes(file.size);
        shown.push({ file, name: file.path, byteLength: file.size, isCached });
      }
      const isElsewhere = ({ isCached, name, byteLength }: ShownFile): boolean =>
        !isCached && (isWeightFile(name) || byteLength > LARGEST_SMALL);
      await bring(shown.filter((each) => !isElsewhere(each)).map(({ file }) => file));
      const elsewhere = shown
        .filter(isElsewhere)
        .map(({ file }) => [join(folder, file.path), remoteHubFile(repository, commit, file)] as const);
      const { close } = showRemoteFiles(new Map(elsewhere));
      return { files: shown.map(({ file: _, ...each }) => each), close };
    },
  };
}

/** A folder of a snapshot as if it were all: names are relative to it. */
export function folderOf(snapshot: Snapshot, folder: string): Snapshot {
  const inside = (names: readonly string[]) => names.map((name) => `${folder}/${name}`);
  return {
    ...snapshot,
    folder: join(snapshot.folder, folder),
    names: snapshot.names.flatMap((name) =>
      name.startsWith(`${folder}/`) ? [name.slice(folder.length + 1)] : [],
    ),
    bring: (names, ...how) => snapshot.bring(inside(names), ...how),
    async show(names) {
      const { files, close } = await snapshot.show(inside(names));
      return { files: files.map((file) => ({ ...file, name: file.name.slice(folder.length + 1) })), close };
    },
  };
}

/** A Hub that is away, or has no such repository, is no reason to fail yet. */
function unlessAway(error: unknown): SdConvertError {
  if (error instanceof RepositoryNotFoundError || error instanceof DownloadError) return error;
  throw error;
}

function unlessNotFound(error: unknown): undefined {
  if (!(error instanceof NotFoundError)) throw error;
}

function notInCache(repo: string, { revision = newest, cacheDir }: HubOptions): NotFoundError {
  return new NotFoundError({
    problem: `${repo} is neither a file or folder here nor in the cache, and offline nothing can be downloaded.`,
    details: { [isCommit(revision) ? 'commit' : 'revision']: revision, 'looked in': cacheDir },
    advice:
      'Run this once without --offline (and without HF_HUB_OFFLINE), or copy the cache from a machine that has it.',
  });
}
