import { promises as fs } from 'node:fs';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { isAbsent, rethrow } from './disk-errors.ts';

/** A path without links on its way, as far as it is there: two paths lead to the same place where these are the same. */
export async function realPlace(path: string): Promise<string> {
  const full = resolve(path);
  try {
    return await fs.realpath(full);
  } catch (error) {
    if (!isAbsent(error)) return rethrow('read', path)(error);
    const parent = dirname(full);
    return parent === full ? full : join(await realPlace(parent), basename(full));
  }
}

/** Whether a path is a place or below it, by their names. */
export function isWithin(path: string, place: string): boolean {
  return path === place || path.startsWith(join(place, sep));
}
