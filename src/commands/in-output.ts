import { placeInOutput } from '../formats/provenance.ts';
import { whileLocked } from '../io/disk.ts';

/**
 * Locks the output folders that these paths are in, and does the work. Throws a `RequestError` that names the run holding
 * a lock, and what the work throws.
 */
export async function whileOutputsLocked<T>(paths: readonly string[], work: () => Promise<T>): Promise<T> {
  const places = await Promise.all(paths.map((path) => placeInOutput(path)));
  const outputs = new Set(places.flatMap((place) => (place ? [place.output] : [])));
  let locked = work;
  // Lock in a fixed order, so that two runs never wait for each other.
  for (const output of [...outputs].sort()) {
    const inner = locked;
    locked = () => whileLocked(output, inner);
  }
  return locked();
}
