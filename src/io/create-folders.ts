import { basename, dirname, resolve } from 'node:path';
import { makeFolders, pathKind, removePath } from './disk.ts';
import { fileInsteadOfFolder, fileOnTheWay, isThereAlready, rethrow } from './disk-errors.ts';
import { FoldersStage } from './stages/staging.ts';

/**
 * Starts a folder under another name for `fill` to write into; it appears under `path`, in the place of a folder that
 * was there, when it is complete. What `fill` throws leaves nothing behind. Throws as `createFile` does.
 */
export async function createFolder(path: string, fill: (growing: string) => Promise<void>): Promise<void> {
  await createFolders([path], ([growing = '']) => fill(growing));
}

/**
 * Starts several folders as `createFolder` does. They appear when all are complete, the first one last, and entries of the
 * paths in `gone` go as they do: those of one parent together, whenever the process is killed. Throws as `createFolder` does.
 */
export async function createFolders(
  paths: readonly string[],
  fill: (growing: readonly string[]) => Promise<void>,
  gone: readonly string[] = [],
): Promise<void> {
  for (const path of paths) if ((await pathKind(path)) === 'file') throw fileInsteadOfFolder(path);
  const parents = [...new Set(paths.map(parentOf))];
  const growing = new Map<string, string>();
  const fillFrom = async (at: number): Promise<void> => {
    const parent = parents[at];
    if (parent === undefined) return fill(paths.map((path) => growing.get(path) ?? path));
    const here = paths.filter((path) => parentOf(path) === parent);
    const places = {
      names: here.map(nameOf),
      gone: gone.filter((path) => parentOf(path) === parent).map(nameOf),
    };
    await growIn(parent, places, here[0] ?? parent, async (stage) => {
      for (const path of here) growing.set(path, stage.growing(nameOf(path)));
      await fillFrom(at + 1);
    });
  };
  await fillFrom(0);
  for (const path of gone) if (!parents.includes(parentOf(path))) await removePath(path);
}

async function growIn(
  parent: string,
  { names, gone }: { readonly names: readonly string[]; readonly gone: readonly string[] },
  path: string,
  fill: (stage: FoldersStage) => Promise<void>,
): Promise<void> {
  const removeMade = await makeFolders(parent).catch((error: unknown) => {
    if (isThereAlready(error)) throw fileOnTheWay(path, { cause: error });
    return rethrow('write', path)(error);
  });
  const stage = await FoldersStage.start(parent, names, gone).catch(rethrow('write', path));
  try {
    await fill(stage);
    await stage.appear().catch(rethrow('write', path));
  } catch (error) {
    await stage.remove();
    await removeMade();
    throw error;
  }
}

function parentOf(path: string): string {
  return dirname(resolve(path));
}

function nameOf(path: string): string {
  return basename(resolve(path));
}
