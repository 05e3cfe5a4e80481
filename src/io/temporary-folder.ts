import { tmpdir } from 'node:os';
import { RequestError } from '../errors.ts';
import { rethrow } from './disk-errors.ts';
import { errorCode } from './error-code.ts';
import { claimTemporary } from './stages/staging.ts';

/** A folder that is gone in the end: `remove` deletes it, or a later run where this one is killed. */
export interface TemporaryFolder {
  readonly path: string;
  remove(): Promise<void>;
}

/** Makes a temporary folder. Throws `RequestError` where there is no place for one, and as `createFolder` does. */
export async function makeTemporaryFolder(base: string = tmpdir()): Promise<TemporaryFolder> {
  const { make, ...folder } = await claimTemporaryFolder(base);
  await make();
  return folder;
}

/** A name for a temporary folder that may not be needed: `make`, which throws as `makeTemporaryFolder` does, makes it. */
export async function claimTemporaryFolder(
  base: string = tmpdir(),
): Promise<TemporaryFolder & { make(): Promise<void> }> {
  const { path, make, remove } = await claimTemporary(base);
  return {
    path,
    make: () => make().catch(unmade(base)),
    remove: () => remove().catch(rethrow('write', base)),
  };
}

/** What keeps a folder from being made in another. */
const obstacles: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  ENOTDIR: 'is a file',
  EACCES: 'may not be written into',
  EPERM: 'may not be written into',
  EROFS: 'may not be written into',
};

function unmade(base: string): (error: unknown) => never {
  return (error) => {
    const obstacle = obstacles[errorCode(error)];
    if (obstacle === undefined) return rethrow('write', base)(error);
    throw new RequestError(
      {
        problem: `${base}, the folder for temporary files, ${obstacle}.`,
        advice:
          'Name another with the environment variable TMPDIR (on Windows TEMP), or with --tmp-dir where a command has it.',
      },
      { cause: error },
    );
  };
}
