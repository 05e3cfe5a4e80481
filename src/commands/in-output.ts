import { placeInOutput } from '../formats/provenance.ts';
import { whileLocked } from '../io/disk.ts';

/**
 * Does work that writes to these paths while nobody else writes into the output folders that they are in. Throws
 * `RequestError` naming who does, and what the work throws.
 */
export async function whileOutputsLocked<T>(paths: readonly string[], work: () => Promise<T>): Promise<T> {
  const places = await Promise.all(paths.map((path) => placeInOutput(path)));
  const outputs = new Set(places.flatMap((place) => (place ? [place.output] : [])));
  let locked = work;
  // Always in one order: two runs must not wait for each other.
  for (const output of [...outputs].sort()) {
    const inner = locked;
    locked = () => whileLocked(output, inner);
  }
  return locked();
}
