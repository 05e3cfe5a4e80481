import { join } from 'node:path';
import { RequestError } from '../errors.ts';
import { listFolder, openFile, pathKind } from './disk.ts';

/** A file and its bytes. */
export interface FileSize {
  readonly name: string;
  readonly byteLength: number;
}

/** Bytes of a file. Throws as `openFile` does. */
export async function sizeOfFile(path: string): Promise<number> {
  const file = await openFile(path);
  await file.close();
  return file.size;
}

/** What a folder holds, at whatever depth. */
interface FileBelow {
  /** Relative to the folder, with slashes. */
  readonly name: string;
  /** `false` for a link that leads nowhere. */
  readonly isThere: boolean;
}

/** More than any folder of models holds, and deeper. */
const MOST_ENTRIES = 100_000;
const DEEPEST = 32;

/**
 * Every file in a folder and in the folders in it, in order; links are followed. Throws `RequestError` for far too many: links may
 * lead around in circles.
 */
export async function* filesBelow(folder: string): AsyncGenerator<FileBelow> {
  let seen = 0;
  async function* below(path: string, depth: number): AsyncGenerator<FileBelow> {
    for (const entry of await listFolder(join(folder, path))) {
      if (++seen > MOST_ENTRIES || depth > DEEPEST) throw withoutEnd(folder);
      const name = path === '' ? entry : `${path}/${entry}`;
      const kind = await pathKind(join(folder, name));
      if (kind === 'folder') yield* below(name, depth + 1);
      else yield { name, isThere: kind === 'file' };
    }
  }
  yield* below('', 1);
}

/** Every file in a folder and in the folders in it; names are relative to it. Throws as `filesBelow` does. */
export async function filesIn(folder: string): Promise<FileSize[]> {
  const files: FileSize[] = [];
  for await (const { name, isThere } of filesBelow(folder))
    if (isThere) files.push({ name, byteLength: await sizeOfFile(join(folder, name)) });
  return files;
}

/** Bytes of all files in a folder and in the folders in it. Throws as `filesBelow` does. */
export async function folderSize(folder: string): Promise<number> {
  return (await filesIn(folder)).reduce((sum, { byteLength }) => sum + byteLength, 0);
}

function withoutEnd(folder: string): RequestError {
  return new RequestError({
    problem: `${folder} holds more files than any folder of models, or its folders lead around in circles.`,
    advice: 'Remove links in it that lead to a folder which they are in, or name a folder of models alone.',
  });
}
