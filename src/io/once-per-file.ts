import { identityOfFile } from './opened-files.ts';

/**
 * The same function of a file, but each file is looked into once however many paths lead to it, and again when it was changed: whoever
 * wrote a list of files may have named one of them a thousand times. Throws what `look` throws.
 */
export function oncePerFile<T>(look: (path: string) => Promise<T>): (path: string) => Promise<T> {
  const known = new Map<string, Promise<T>>();
  return async (path) => {
    const identity = (await identityOfFile(path)) ?? path;
    const found = known.get(identity) ?? look(path);
    known.set(identity, found);
    return found;
  };
}
