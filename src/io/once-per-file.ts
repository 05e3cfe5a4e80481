import { identityOfFile } from './opened-files.ts';

/** A function of a file's bytes. */
export interface OncePerFile<T> {
  (path: string): Promise<T>;
  /** Takes note of what it gives for the file at a path, which is not looked into then unless it is changed. */
  know(path: string, found: T): Promise<void>;
}

/**
 * The same function of a file, but each file is looked into once however many paths lead to it, and again when it was changed: whoever
 * wrote a list of files may have named one of them a thousand times. Throws what `look` throws.
 */
export function oncePerFile<T>(look: (path: string) => Promise<T>): OncePerFile<T> {
  const known = new Map<string, Promise<T>>();
  const once = async (path: string): Promise<T> => {
    const identity = (await identityOfFile(path)) ?? path;
    const found = known.get(identity) ?? look(path);
    known.set(identity, found);
    return found;
  };
  const know = async (path: string, found: T): Promise<void> => {
    const identity = await identityOfFile(path);
    if (identity !== undefined) known.set(identity, Promise.resolve(found));
  };
  return Object.assign(once, { know });
}
