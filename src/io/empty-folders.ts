import { promises as fs } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { hasCode } from './stages/owner.ts';
import { settle } from './stages/staging.ts';

/** Removes a folder, and those that it is in up to `top`, as far as they are empty: what is in one that is not is somebody's. */
export async function removeEmptyFolders(folder: string, top: string): Promise<void> {
  for (let each = resolve(folder); each.startsWith(resolve(top)); each = dirname(each)) {
    await settle(each); // what a run left that was killed is nobody's
    const isGone = await fs.rmdir(each).then(
      () => true,
      (error: unknown) => hasCode(error, 'ENOENT'),
    );
    if (!isGone) return;
  }
}
