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
    const fillStage = async (stage: FoldersStage): Promise<void> => {
      for (const path of here) growing.set(path, stage.growing(nameOf(path)));
      await fillFrom(at + 1);
    };
    await growIn(parent, places, here[0] ?? parent, fillStage, (stage) => stage.appear());
  };
  await fillFrom(0);
  for (const path of gone) if (!parents.includes(parentOf(path))) await removePath(path);
}

/**
 * Starts a folder as `createFolder` does, but one with something in it stays; says whether this one appeared. Of several that
 * are made for one path at the same time, on any machines, the first that is complete appears.
 */
export async function createFolderOnce(
  path: string,
  fill: (growing: string) => Promise<void>,
): Promise<boolean> {
  if ((await pathKind(path)) === 'file') throw fileInsteadOfFolder(path);
  const name = nameOf(path);
  const fillStage = (stage: FoldersStage): Promise<void> => fill(stage.growing(name));
  return growIn(parentOf(path), { names: [name], gone: [] }, path, fillStage, (stage) => stage.appearOnce());
}

async function growIn<T>(
  parent: string,
  { names, gone }: { readonly names: readonly string[]; readonly gone: readonly string[] },
  path: string,
  fill: (stage: FoldersStage) => Promise<void>,
  appear: (stage: FoldersStage) => Promise<T>,
): Promise<T> {
  const removeMade = await makeFolders(parent).catch((error: unknown) => {
    if (isThereAlready(error)) throw fileOnTheWay(path, { cause: error });
    return rethrow('write', path)(error);
  });
  const stage = await FoldersStage.start(parent, names, gone).catch(rethrow('write', path));
  try {
    await fill(stage);
    return await appear(stage).catch(rethrow('write', path));
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
