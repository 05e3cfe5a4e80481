import { join } from 'node:path';
import { throwIfInterrupted } from '../../context.ts';
import { createFolderOnce } from '../../io/create-folders.ts';
import { exists, readText } from '../../io/disk.ts';
import { linkFolder } from '../../io/link-folder.ts';
import { notFound } from '../../io/not-found.ts';
import { otherResult, RECORD, type Store } from './store.ts';

/** A folder that all workers see: a disk of this machine, or one of a network. */
export function openFolderStore(root: string): Store {
  const placeOf = (name: string): string => join(root, name);
  const recordOf = async (name: string): Promise<string | undefined> => {
    const path = join(placeOf(name), RECORD);
    return (await exists(path)) ? readText(path) : undefined;
  };
  return {
    address: root,
    recordOf,
    async put(name, folder, { signal }) {
      throwIfInterrupted(signal);
      const isFirst =
        (await recordOf(name)) === undefined &&
        (await createFolderOnce(placeOf(name), (growing) => linkFolder(folder, growing)));
      if (isFirst) return 'put';
      // The record has the SHA-256 of every file.
      if ((await recordOf(name)) === (await readText(join(folder, RECORD)))) return 'there';
      throw otherResult(root, name, `its ${RECORD} differs`);
    },
    async get(name) {
      if ((await recordOf(name)) === undefined) throw notFound(placeOf(name));
      return placeOf(name);
    },
    async close() {},
  };
}
