import { dirname, join } from 'node:path';
import { lookAtFile } from '../io/disk.ts';
import { hashFile } from '../io/hashing/hash-file.ts';
import { oncePerFile } from '../io/once-per-file.ts';
import { identityAt, touchedAt } from '../io/opened-files.ts';
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

const inWords: Readonly<Record<DamagedFile['problem'], (found: number, written: number) => string>> = {
  missing: () => 'is missing',
  size: (found, written) => `has ${found} bytes, but ${written} were written`,
  bytes: () => 'has changed since it was written',
};

/** A file that is not the one on record, as a sentence that begins with its name. */
export function damageInWords({ name, problem, found, written }: DamagedFile): string {
  return `${name} ${inWords[problem](found, written)}.`;
}

/** The files of an artifact's folder that are not those on record, in order. Throws what reading throws. */
export async function* damagedFiles(
  folder: string,
  files: readonly WrittenFile[],
  { hash, since }: Scrutiny,
): AsyncGenerator<DamagedFile> {
  const isSuspect = touchedIn(folder, since);
  for (const { name, byteLength: written, sha256 } of files) {
    const path = join(folder, name);
    const found = (await lookAtFile(path))?.size;
    if (found === undefined) yield { name, problem: 'missing', written, found: 0 };
    else if (found !== written) yield { name, problem: 'size', written, found };
    else if ((await isSuspect(path)) && (await hash(path)) !== sha256)
      yield { name, problem: 'bytes', written, found };
  }
}

/** Whether a file of a folder, or a folder on its way, was touched since a time. */
function touchedIn(folder: string, since: number): (path: string) => Promise<boolean> {
  const folders = new Map<string, number>();
  const touched = async (path: string): Promise<number> => {
    const known = folders.get(path) ?? (await touchedAt(path));
    folders.set(path, known);
    return path === folder ? known : Math.max(known, await touched(dirname(path)));
  };
  // The clock of a disk is coarse.
  return async (path) => (await touchedAt(path)) >= since || (await touched(dirname(path))) >= since;
}

/** Files of an artifact by their paths in the output folder. */
export function within(path: string, files: readonly WrittenFile[]): WrittenFile[] {
  return files.map((file) => ({ ...file, name: `${path}/${file.name}` }));
}

/** What is on record of artifacts, by their paths in an output folder. */
export type RecordedArtifacts = Iterable<
  readonly [path: string, artifact: { readonly files: readonly WrittenFile[] }]
>;

/**
 * Whether files on record were touched since, and have other bytes than those on record. `fresh` ones, by their paths in the output,
 * were just written.
 */
export async function holdDamage(
  output: string,
  artifacts: RecordedArtifacts,
  fresh: readonly WrittenFile[],
  since: number,
): Promise<boolean> {
  const written = new Set(fresh.map(({ name }) => name));
  for (const [path, { files }] of artifacts) {
    const others = files.filter(({ name }) => !written.has(`${path}/${name}`));
    for await (const { problem } of damagedFiles(join(output, path), others, { hash: hashUnseen, since }))
      if (problem === 'bytes') return true;
  }
  return false;
}

/**
 * SHA-256 of files that are as on record, by what they are but for the date of their entry: this process itself links them and completes
 * their folders for clients, which must not cost reading gigabytes.
 */
const asRecorded = new Map<string, string>();

/** Takes note of files that were just written, by their paths in the output folder. */
export async function noteWritten(output: string, files: readonly WrittenFile[]): Promise<void> {
  for (const { name, sha256 } of files) {
    const identity = await identityAt(join(output, name));
    if (identity !== undefined) asRecorded.set(identity, sha256);
  }
}

/** Takes note of the files on record that nobody touched since. */
export async function noteUntouched(
  output: string,
  artifacts: RecordedArtifacts,
  since: number,
): Promise<void> {
  for (const [path, { files }] of artifacts) {
    const isTouched = touchedIn(join(output, path), since);
    for (const file of within(path, files))
      if (!(await isTouched(join(output, file.name)))) await noteWritten(output, [file]);
  }
}

/** Hashes each file once in a process: a damaged one would be hashed again for every change of a record. */
const hashOnce = oncePerFile((path) => hashFile(path));

/** SHA-256 of a file, which is read where this process does not know it. Throws as `hashFile`. */
export async function hashUnseen(path: string, signal?: AbortSignal): Promise<string> {
  const identity = await identityAt(path);
  // What one caller interrupts is not another's.
  return (identity && asRecorded.get(identity)) ?? (signal ? hashFile(path, signal) : hashOnce(path));
}
