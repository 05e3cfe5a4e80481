import { dirname, join } from 'node:path';
import { lookAtFile } from '../io/disk.ts';
import { hashFile } from '../io/hashing/hash-file.ts';
import { oncePerFile } from '../io/once-per-file.ts';
import { identityOfFile, touchedAt } from '../io/opened-files.ts';
import type { WrittenFile } from './artifact.ts';

/** SHA-256 of a file, in hexadecimal. */
export type HashFile = (path: string) => Promise<string>;

/** How files are compared with what is on record of them. */
export interface Scrutiny {
  readonly hash: HashFile;
  /**
   * When the files were as on record (milliseconds since 1970). What nobody touched since then is not read: neither the file nor a
   * folder on its way, since a folder may be moved here with all its old dates.
   */
  readonly since: number;
}

/** A file that is not the one on record. */
export interface DamagedFile extends Pick<WrittenFile, 'name'> {
  readonly problem: 'missing' | 'size' | 'bytes';
  /** Bytes on record, and there. */
  readonly written: number;
  readonly found: number;
}

/** The files of an artifact's folder that are not those on record, in order. Throws what reading throws. */
export async function* damagedFiles(
  folder: string,
  files: readonly WrittenFile[],
  { hash, since }: Scrutiny,
): AsyncGenerator<DamagedFile> {
  const folders = new Map<string, number>();
  const touched = async (path: string): Promise<number> => {
    const known = folders.get(path) ?? (await touchedAt(path));
    folders.set(path, known);
    return path === folder ? known : Math.max(known, await touched(dirname(path)));
  };
  const isSuspect = async (path: string): Promise<boolean> =>
    (await touchedAt(path)) >= since || (await touched(dirname(path))) >= since; // the clock of a disk is coarse
  for (const { name, byteLength: written, sha256 } of files) {
    const path = join(folder, name);
    const found = (await lookAtFile(path))?.size;
    if (found === undefined) yield { name, problem: 'missing', written, found: 0 };
    else if (found !== written) yield { name, problem: 'size', written, found };
    else if ((await isSuspect(path)) && (await hash(path)) !== sha256)
      yield { name, problem: 'bytes', written, found };
  }
}

/** Files of an artifact by their paths in the output folder. */
export function within(path: string, files: readonly WrittenFile[]): WrittenFile[] {
  return files.map((file) => ({ ...file, name: `${path}/${file.name}` }));
}

/**
 * Whether files on record, by their artifacts, were touched since, and have other bytes than those on record. `fresh` ones, by their paths
 * in the output, were just written.
 */
export async function holdDamage(
  output: string,
  artifacts: Iterable<readonly [path: string, artifact: { readonly files: readonly WrittenFile[] }]>,
  fresh: readonly WrittenFile[],
  since: number,
): Promise<boolean> {
  const written = new Set(fresh.map(({ name }) => name));
  /** What is fresh may be the second name of an older file, which was touched by that. */
  const seen = new Set<string>();
  for (const { name, sha256 } of fresh) seen.add(`${await identityOfFile(join(output, name))} ${sha256}`);
  for (const [path, { files }] of artifacts) {
    const folder = join(output, path);
    const others = files.filter(({ name }) => !written.has(`${path}/${name}`));
    const recorded = new Map(others.map(({ name, sha256 }) => [join(folder, name), sha256]));
    const hash = async (file: string): Promise<string> => {
      const sha256 = recorded.get(file) ?? '';
      return seen.has(`${await identityOfFile(file)} ${sha256}`) ? sha256 : hashUnseen(file);
    };
    for await (const { problem } of damagedFiles(folder, others, { hash, since }))
      if (problem === 'bytes') return true;
  }
  return false;
}

/**
 * Hashes each file once in a process: a damaged one would be hashed again for every change of a record. It knows those that the process wrote
 * or has found to be as on record: completing their folders for a client touches the folders, and must not cost reading gigabytes.
 */
export const hashUnseen = oncePerFile((path) => hashFile(path));
