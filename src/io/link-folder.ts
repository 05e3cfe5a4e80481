import { join } from 'node:path';
import { exists, linkFile } from './disk.ts';
import { filesBelow } from './file-sizes.ts';

/**
 * Gives all files of a folder a second name in another, except what is there under its name, or is not wanted. Throws as
 * `filesBelow` and `linkFile` do.
 */
export async function linkFolder(
  from: string,
  to: string,
  unwanted: ReadonlySet<string> = new Set(),
): Promise<void> {
  /** Of the folder itself. */
  const leftOut = new Map<string, boolean>();
  for await (const { name } of filesBelow(from)) {
    const [own = ''] = name.split('/', 1);
    const isLeftOut = leftOut.get(own) ?? (unwanted.has(own) || (await exists(join(to, own))));
    leftOut.set(own, isLeftOut);
    if (!isLeftOut) await linkFile(join(from, name), join(to, name));
  }
}
