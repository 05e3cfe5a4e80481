import { basename, join, resolve } from 'node:path';
import { listFolder, pathKind, readText } from '../io/disk.ts';

/** A repository's folder in the Hub's cache, as Python and ComfyUI lay it out. */
const REPOSITORY = /^models--(.+)$/;

/**
 * Where a model lies that is given by its repository's folder in the Hub's cache (`models--org--name`): the snapshot of
 * `main`, or the only one. Any other path is itself.
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

/** The repository that a folder of the Hub's cache is of: `models--org--name` is `org/name`. */
export function repositoryOf(path: string): string | undefined {
  return REPOSITORY.exec(basename(resolve(path)))?.[1]?.replace('--', '/');
}
