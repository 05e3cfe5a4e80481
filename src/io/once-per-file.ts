import { identityOfFile } from './opened-files.ts';

/**
 * The same function of a file, but each file is looked into once however many paths lead to it, and again when it was changed, or when
 * looking failed: whoever wrote a list of files may have named one of them a thousand times. Throws what `look` throws.
 */
export function oncePerFile<T, R extends readonly unknown[]>(
  look: (path: string, ...how: R) => Promise<T>,
): (path: string, ...how: R) => Promise<T> {
  const known = new Map<string, Promise<T>>();
  return async (path, ...how) => {
    const identity = (await identityOfFile(path)) ?? path;
    const found = known.get(identity) ?? look(path, ...how);
    known.set(identity, found);
    return found.catch((error: unknown) => {
      known.delete(identity);
      throw error;
    });
  };
}
