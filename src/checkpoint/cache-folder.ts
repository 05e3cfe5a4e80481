import { basename, join, resolve } from 'node:path';
import { listFolder, pathKind, readText } from '../io/disk.ts';

/** Name of a repository's folder in the Hub's cache, the same in Python and ComfyUI. */
const REPOSITORY = /^models--(.+)$/;

/**
 * Resolves a repository's folder in the Hub's cache (`models--org--name`) to the snapshot of `main`, or to the only
 * one. Other paths are returned unchanged.
 */
export async function snapshotOf(path: string): Promise<string> {
  if (!REPOSITORY.test(basename(resolve(path)))) return path;
  const snapshots = join(path, 'snapshots');
  if ((await pathKind(snapshots)) !== 'folder') return path;
  const commits = await listFolder(snapshots);
  const ref = join(path, 'refs', 'main');
  const main = (await pathKind(ref)) === 'file' ? (await readText(ref)).trim() : undefined;
  const commit = commits.find((name) => name === main) ?? (commits.length === 1 ? commits[0] : undefined);
  return commit === undefined ? path : join(snapshots, commit);
}

/** Repository of a folder in the Hub's cache: `org/name` for `models--org--name`; `undefined` for other folders. */
export function repositoryOf(path: string): string | undefined {
  return REPOSITORY.exec(basename(resolve(path)))?.[1]?.replace('--', '/');
}
