import { resolve } from 'node:path';
import { placeInOutput } from '../formats/provenance.ts';
import { whileLocked, whileNameLocked } from '../io/disk.ts';

/**
 * Locks the output folders that these paths are in, or the paths themselves where they are in none, and does the work. Throws
 * an `OutputBusyError` that names the run holding a lock, and what the work throws.
 */
export async function whileOutputsLocked<T>(paths: readonly string[], work: () => Promise<T>): Promise<T> {
  const locks = new Map<string, (inner: () => Promise<T>) => Promise<T>>();
  for (const path of paths) {
    const place = await placeInOutput(path);
    locks.set(place?.output ?? resolve(path), (inner) =>
      place ? whileLocked(place.output, inner) : whileNameLocked(path, inner),
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
