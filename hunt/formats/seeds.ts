import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Files } from '../format.ts';

const root = join(import.meta.dirname, '..', '..');

/** The path of something in the project. */
export function inProject(...names: readonly string[]): string {
  return join(root, ...names);
}

/** Files of a folder of the project whose names fit, each an input of its own under the name `name`. */
export function eachFile(
  folder: string,
  fits: RegExp,
  name: (file: string) => string = (file) => file,
): Files[] {
  return readdirSync(inProject(folder))
    .filter((file) => fits.test(file))
    .map((file) => new Map([[name(file), new Uint8Array(readFileSync(inProject(folder, file)))]]));
}

/** All files of a folder as one input; those that are not for changing are links. */
export function wholeFolder(folder: string, toChange: RegExp, isLeftOut = /^$/): Files {
  const files = new Map<string, Uint8Array | string>();
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = relative(folder, path).replaceAll('\\', '/');
    if (!entry.isFile() || isLeftOut.test(name)) continue;
    files.set(name, toChange.test(name) ? new Uint8Array(readFileSync(path)) : path);
  }
  return files;
}

/** A text as bytes. */
export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** The beginning of a real vocabulary: a whole one takes a second to read. */
export function smallVocabulary(): { vocab: Record<string, number>; merges: string[] } {
  const read = (name: string) => readFileSync(inProject('models/sd-shapes/tokenizer', name), 'utf8');
  const entries = Object.entries<number>(JSON.parse(read('vocab.json')));
  const merges = read('merges.txt').split('\n').slice(1, 100);
  return { vocab: Object.fromEntries(entries.filter(([, id]) => id < 611 || id > 49405)), merges };
}
