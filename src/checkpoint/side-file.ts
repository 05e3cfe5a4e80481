import { basename } from 'node:path';
import { readText } from '../io/disk.ts';
import { type Hashed, writeHashed } from '../io/hashing/write-hashed.ts';
import { CONFIG_LIMITS, type JsonObject, parseJsonObject } from '../io/json/python-json.ts';
import { copyConfigFile } from '../io/json/strict-json.ts';

/**
 * A small file that belongs to the networks (of a tokenizer, a scheduler): the path of one on the disk, or a generated
 * one.
 */
export type SideFile = string | MadeFile;

/** A generated file, which is not on the disk yet. */
export interface MadeFile {
  /** File name without a folder. */
  readonly name: string;
  readonly text: string;
}

/** Name of a file, without its folders. */
export function sideFileName(file: SideFile): string {
  return typeof file === 'string' ? basename(file) : file.name;
}

/** The one of several files that is called so. */
export function sideFileCalled(files: readonly SideFile[], name: string): SideFile | undefined {
  return files.find((file) => sideFileName(file) === name);
}

/** Reads the text of a small file, of at most so many bytes where a number is given. Throws as reading does. */
export async function readSideText(file: SideFile, most?: number): Promise<string> {
  return typeof file === 'string' ? readText(file, most) : file.text;
}

/** The object in one of several files of JSON, read as `readJsonObject` does; `undefined` where there is none of that name. */
export async function readSideJson(
  files: readonly SideFile[],
  name: string,
): Promise<JsonObject | undefined> {
  const file = sideFileCalled(files, name);
  if (file === undefined) return undefined;
  const { bytes, keys } = CONFIG_LIMITS;
  return parseJsonObject(await readSideText(file, bytes), typeof file === 'string' ? file : name, keys);
}

/** Writes a small file to a path, and returns its size and SHA-256. Throws as `copyConfigFile` and `writeHashed` do. */
export async function placeSideFile(file: SideFile, to: string): Promise<Hashed> {
  if (typeof file === 'string') return copyConfigFile(file, to);
  const bytes = new TextEncoder().encode(file.text);
  return writeHashed(to, (write) => write(bytes, 0));
}
