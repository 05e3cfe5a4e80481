import { join } from 'node:path';
import { throwIfInterrupted } from '../../context.ts';
import { createFolderOnce } from '../../io/create-folders.ts';
import { exists, readText, removePath, writeText } from '../../io/disk.ts';
import { filesIn } from '../../io/file-sizes.ts';
import { hashFile } from '../../io/hashing/hash-file.ts';
import { linkFolder } from '../../io/link-folder.ts';
import { notFound } from '../../io/not-found.ts';
import { compareRecords, otherResult, RECORD, refuseOthersWithin, type Store } from './store.ts';
import { refuseDamaged } from './stored-result.ts';

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
      const own = await readText(join(folder, RECORD));
      const standing = compareRecords((await recordOf(name)) ?? '', own);
      if (standing === 'other') throw otherResult(root, name, `its ${RECORD} differs`);
      if (standing === 'same') return 'there';
      await writeText(join(placeOf(name), RECORD), own);
      return 'put';
    },
    async get(name, _, { signal }) {
      if ((await recordOf(name)) === undefined) throw notFound(placeOf(name));
      await refuseDamaged(placeOf(name), placeOf(name), (file) => hashFile(file, signal));
      return placeOf(name);
    },
    async remove(name) {
      if ((await recordOf(name)) === undefined) return;
      const files = (await filesIn(placeOf(name))).map((file) => file.name);
      refuseOthersWithin(root, name, files);
      await removePath(placeOf(name));
    },
    async close() {},
  };
}
