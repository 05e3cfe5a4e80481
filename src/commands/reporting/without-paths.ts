import { basename, resolve } from 'node:path';
import { mapTexts } from '../../text.ts';

/** Plain data with the names of these places instead of their absolute paths, which would tell of this machine. */
export function withoutPaths<T>(value: T, places: readonly string[]): T {
  const names = places.map((place) => [resolve(place), basename(resolve(place))] as const);
  // The longest first: one place may be within another.
  const sorted = names.toSorted(([a], [b]) => b.length - a.length);
  return mapTexts(value, (text) =>
    // A name may hold what stands for something in replacements: $&.
    sorted.reduce((result, [path, name]) => result.replaceAll(path, () => name), text),
  );
}
