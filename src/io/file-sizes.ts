import { join } from 'node:path';
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

/** Every file in a folder and in the folders in it; names are relative to it. */
export async function filesIn(folder: string): Promise<FileSize[]> {
  const files: FileSize[] = [];
  for (const name of await listFolder(folder)) {
    const path = join(folder, name);
    const kind = await pathKind(path);
    if (kind === 'file') files.push({ name, byteLength: await sizeOfFile(path) });
    if (kind !== 'folder') continue;
    for (const inner of await filesIn(path)) files.push({ ...inner, name: `${name}/${inner.name}` });
  }
  return files;
}

/** Bytes of all files in a folder and in the folders in it. */
export async function folderSize(folder: string): Promise<number> {
  return (await filesIn(folder)).reduce((sum, { byteLength }) => sum + byteLength, 0);
}
