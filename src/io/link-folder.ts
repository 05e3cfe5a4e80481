import { join } from 'node:path';
import { exists, linkFile, listFolder, pathKind } from './disk.ts';

/** Gives all files of a folder a second name in another, except those that are there or are not wanted. Throws as `linkFile` does. */
export async function linkFolder(
  from: string,
  to: string,
  unwanted: ReadonlySet<string> = new Set(),
): Promise<void> {
  for (const name of await listFolder(from)) {
    const [path, target] = [join(from, name), join(to, name)];
    if (unwanted.has(name) || (await exists(target))) continue;
    if ((await pathKind(path)) === 'folder') await linkFolder(path, target);
    else await linkFile(path, target);
  }
}
