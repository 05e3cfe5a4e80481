import { dirname, join, resolve } from 'node:path';
import { InterruptedError, OutputBusyError } from '../errors.ts';
import { endings } from '../formats/format.ts';
import { identityOfRecord, placeInOutput, whileConversionLocked } from '../formats/provenance.ts';
import { pathKind, whileNameLocked } from '../io/disk.ts';
import { OpenedFiles } from '../io/opened-files.ts';
import { isHeldHere, otherWriter } from '../io/stages/folder-lock.ts';

/**
 * Locks the output folders that these paths are in, or the paths themselves where they are in none, and does the work. Throws
 * an `OutputBusyError` that names the run holding a lock, and what the work throws.
 */
export async function whileOutputsLocked<T>(paths: readonly string[], work: () => Promise<T>): Promise<T> {
  const locks = new Map<string, (inner: () => Promise<T>) => Promise<T>>();
  for (const path of paths) {
    const place = await placeInOutput(path);
    locks.set(place?.output ?? resolve(path), (inner) =>
      place ? whileConversionLocked(place.output, inner) : whileNameLocked(path, inner),
    );
  }
  // In a fixed order, so that of two runs that share several one gets them all.
  const inOrder = [...locks].sort(([a], [b]) => (a < b ? -1 : 1));
  return inOrder.reduceRight(
    (inner, [, whileHeld]) =>
      () =>
        whileHeld(inner),
    work,
  )();
}

/** Work of which the result appears only where what was read is as it was. */
export interface Watched {
  /** Throws as `whileOutputsStay` where it is not. */
  readonly requireUnchanged: () => Promise<void>;
}

/**
 * Does work that reads models: what these paths lead to, in conversions or on their own. Nothing is locked, so that any number may
 * read, also where nothing may be written. Throws `OutputBusyError` where another run writes into one of the conversions, or has done
 * so meanwhile, and `FileFormatError` where anybody has replaced or changed a file that was read: what was read belongs to both then,
 * and so does what the work throws. Work whose result appears somewhere asks before it does so; all other work is asked after it.
 */
export async function whileOutputsStay<T>(
  paths: readonly string[],
  work: (requireUnchanged: Watched['requireUnchanged']) => Promise<T>,
): Promise<T> {
  const records = new Map<string, string | undefined>();
  for (const path of paths)
    for (const output of await outputsOf(path)) if (!isHeldHere(output)) records.set(output, undefined);
  for (const output of records.keys()) {
    records.set(output, await identityOfRecord(output));
    await refuseWritten(output);
  }
  const read = new OpenedFiles(await Promise.all(paths.map(placeOf)));
  let hasAsked = false;
  const requireUnchanged = async (): Promise<void> => {
    hasAsked = true;
    for (const [output, record] of records) {
      await refuseWritten(output);
      if ((await identityOfRecord(output)) !== record) throw writtenMeanwhile(output);
    }
    await read.requireUnchanged();
  };
  try {
    const result = await work(requireUnchanged);
    if (!hasAsked) await requireUnchanged();
    return result;
  } catch (error) {
    if (!(error instanceof InterruptedError)) await requireUnchanged();
    throw error;
  } finally {
    read.close();
  }
}

/** Where the files of a model are: its folder, or that of its file, which may have its weights beside it. */
async function placeOf(path: string): Promise<string> {
  return (await pathKind(path)) === 'file' ? dirname(path) : path;
}

/** The conversions that a path is the output folder of, or a folder, a model or a file in. */
async function outputsOf(path: string): Promise<ReadonlySet<string>> {
  const places = [path, dirname(resolve(path)), join(path, `any${endings.aimodel}`)];
  const found = await Promise.all(places.map(placeInOutput));
  return new Set(found.flatMap((place) => place?.output ?? []));
}

async function refuseWritten(output: string): Promise<void> {
  const by = await otherWriter(output);
  if (by === undefined) return;
  throw new OutputBusyError({
    problem: `another run is writing into ${output}: ${by}.`,
    advice: 'Wait until it has ended.',
  });
}

function writtenMeanwhile(output: string): OutputBusyError {
  return new OutputBusyError({
    problem: `another run has written into ${output} while it was read.`,
    advice: 'Run this again.',
  });
}
