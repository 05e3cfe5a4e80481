import { basename, dirname, join, resolve } from 'node:path';
import { NotFoundError } from '../errors.ts';
import { realPath } from './disk.ts';

/**
 * A path without links on its way, as far as it is there: two paths lead to the same place where these are the same. Throws
 * `RequestError` where links lead around in a circle, or the way is forbidden.
 */
export async function realPlace(path: string): Promise<string> {
  const full = resolve(path);
  const parent = dirname(full);
  return realPath(full).catch(async (error: unknown) => {
    if (!(error instanceof NotFoundError) || parent === full) throw error;
    return join(await realPlace(parent), basename(full));
  });
}

/** Whether two paths lead to the same place, links followed. Throws as `realPlace`. */
export async function isSamePlace(path: string, other: string): Promise<boolean> {
  return (await realPlace(path)) === (await realPlace(other));
}
