import { basename } from 'node:path';
import { readText } from '../io/disk.ts';
import { copyConfigFile } from '../io/strict-json.ts';
import { type Hashed, writeHashed } from '../io/write-hashed.ts';

/** A small file that goes with the networks (a tokenizer's, a scheduler's): one on the disk by its path, or one made of others. */
export type SideFile = string | MadeFile;

/** A file that is not on the disk as it is needed. */
export interface MadeFile {
  /** Without folders. */
  readonly name: string;
  readonly text: string;
}

/** What a file is called, without its folders. */
export function sideFileName(file: SideFile): string {
  return typeof file === 'string' ? basename(file) : file.name;
}

/** A small file's text. Throws as reading does. */
export async function readSideText(file: SideFile): Promise<string> {
  return typeof file === 'string' ? readText(file) : file.text;
}

/** Writes a small file where it belongs, and gives its size and SHA-256. Throws as `copyConfigFile` and `writeHashed` do. */
export async function placeSideFile(file: SideFile, to: string): Promise<Hashed> {
  if (typeof file === 'string') return copyConfigFile(file, to);
  const bytes = new TextEncoder().encode(file.text);
  return writeHashed(to, (write) => write(bytes, 0));
}
