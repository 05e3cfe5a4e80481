import { promises as fs } from 'node:fs';
import { dirname } from 'node:path';
import { isAbsent, leadsNowhere } from './disk-errors.ts';

/**
 * Makes a folder and the parents that are missing, from the top, whoever else makes them meanwhile; gives the first that was made.
 * Node's own recursive way never ends where a folder cannot be made though its parent is there, as in /proc. Throws what the
 * system throws.
 */
export async function makeMissing(path: string): Promise<string | undefined> {
  if ((await kindOf(path)) === 'folder') return undefined;
  const parent = dirname(path);
  // A drive of Windows that is not there has no parent.
  const lacksParent = async () => parent !== path && (await kindOf(parent)) === undefined;
  const first = (await lacksParent()) ? await makeMissing(parent) : undefined;
  try {
    await fs.mkdir(path);
    return first ?? path;
  } catch (error) {
    if ((await kindOf(path)) === 'folder') return first; // another was faster
    if (isAbsent(error) && (await lacksParent())) return makeMissing(path); // another removed the parent
    if (await isLink(path)) throw leadsNowhere(path, { cause: error });
    throw error;
  }
}

async function kindOf(path: string): Promise<'folder' | 'other' | undefined> {
  return fs.stat(path).then(
    (found) => (found.isDirectory() ? 'folder' : 'other'),
    () => undefined,
  );
}

async function isLink(path: string): Promise<boolean> {
  return fs.lstat(path).then(
    (found) => found.isSymbolicLink(),
    () => false,
  );
}
