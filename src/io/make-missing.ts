import { promises as fs } from 'node:fs';
import { dirname } from 'node:path';
import { isAbsent } from './disk-errors.ts';

/**
 * Makes a folder and the parents that are missing; gives the first that was made. Node's own recursive way never ends where a
 * folder cannot be made though its parent is there, as in /proc. Throws what the system throws.
 */
export async function makeMissing(path: string): Promise<string | undefined> {
  try {
    await fs.mkdir(path);
    return path;
  } catch (error) {
    if ((await kindOf(path)) === 'folder') return undefined;
    const parent = dirname(path);
    if (!isAbsent(error) || (await kindOf(parent)) !== undefined) throw error;
    const firstParent = await makeMissing(parent);
    const own = await makeMissing(path);
    return firstParent ?? own;
  }
}

async function kindOf(path: string): Promise<'folder' | 'other' | undefined> {
  return fs.stat(path).then(
    (found) => (found.isDirectory() ? 'folder' : 'other'),
    () => undefined,
  );
}
