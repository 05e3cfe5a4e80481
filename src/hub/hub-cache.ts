import { join } from 'node:path';
import { RequestError } from '../errors.ts';
import { lookAtFile, pathKind, pointTo, readText, writeText } from '../io/disk.ts';
import { filesBelow } from '../io/file-sizes.ts';
import { isCommit } from './hub-client.ts';
import { isPlainPath } from './hub-id.ts';

/**
 * One repository in the cache that Python's huggingface_hub laid out: contents under their hashes in `blobs`, commits of
 * branches and tags in `refs`, and folders of links, one a commit, in `snapshots`. Either tool goes on where the other
 * stopped.
 */
export interface RepositoryCache {
  /** Path of a blob, whether it exists or not. */
  blob(oid: string): string;
  /** Path of the lock that keeps other processes from downloading the same blob. */
  lock(oid: string): string;
  /** The folder of a commit. */
  snapshot(commit: string): string;
  /** The commit that a branch or tag stood at when it was last seen. Throws `RequestError` for an impossible name. */
  readRef(revision: string): Promise<string | undefined>;
  /** Remembers the commit of a branch or tag. */
  writeRef(revision: string, commit: string): Promise<void>;
  /** Makes a content appear under a file's name in a commit. */
  point(commit: string, name: string, oid: string): Promise<void>;
  /** The files of a commit that are there, whole, by path with `/`. */
  files(commit: string): Promise<readonly string[]>;
}

/** The folder of a repository in a cache, there or not. */
export function cachedRepository(cacheDir: string, repo: string): string {
  return join(cacheDir, folderName(repo));
}

function folderName(repo: string): string {
  return `models--${repo.replaceAll('/', '--')}`;
}

/** The cache of a repository; nothing is made until something is written. */
export function repositoryCache(cacheDir: string, repo: string): RepositoryCache {
  const name = folderName(repo);
  const folder = cachedRepository(cacheDir, repo);
  const blob = (oid: string): string => join(folder, 'blobs', oid);
  const snapshot = (commit: string): string => join(folder, 'snapshots', commit);
  const ref = (revision: string): string => join(folder, 'refs', checkRevision(revision));
  return {
    blob,
    snapshot,
    // Not the name that Python locks: it leaves its files there, and we would take them for locks.
    lock: (oid) => join(cacheDir, '.locks', name, `${oid}.sdconvert.lock`),
    async readRef(revision) {
      if (isCommit(revision)) return revision;
      const file = ref(revision);
      if ((await pathKind(file)) !== 'file') return undefined;
      const commit = (await readText(file)).trim();
      return isCommit(commit) ? commit : undefined;
    },
    async writeRef(revision, commit) {
      if (isCommit(revision)) return;
      const file = ref(revision);
      if ((await pathKind(file)) === 'file' && (await readText(file)) === commit) return;
      await writeText(file, commit);
    },
    point: (commit, path, oid) => pointTo(blob(oid), join(snapshot(commit), path)),
    async files(commit) {
      const top = snapshot(commit);
      return (await pathKind(top)) === 'folder' ? filesOf(top) : [];
    },
  };
}

/** Bytes of a file; `undefined` when there is none, or a link that leads nowhere. */
export async function sizeOf(path: string): Promise<number | undefined> {
  return (await lookAtFile(path))?.size;
}

/** Links that lead nowhere are left out: their contents are not there. */
async function filesOf(folder: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name, isThere } of filesBelow(folder)) if (isThere) names.push(name);
  return names;
}

/** A revision becomes the name of a file. */
function checkRevision(revision: string): string {
  if (isPlainPath(revision)) return revision;
  throw new RequestError({
    problem: `${JSON.stringify(revision)} is not the name of a revision.`,
    advice: 'Give a branch, a tag or a commit: --revision main.',
  });
}
