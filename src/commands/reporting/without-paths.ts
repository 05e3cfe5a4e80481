import { basename, resolve } from 'node:path';

/** Plain data with the names of these places instead of their absolute paths, which would tell of this machine. */
export function withoutPaths<T>(value: T, places: readonly string[]): T {
  const names = places.map((place) => [resolve(place), basename(resolve(place))] as const);
  // The longest first: one place may be within another.
  const sorted = names.toSorted(([a], [b]) => b.length - a.length);
  const shown = (text: string) =>
    sorted.reduce((result, [path, name]) => result.replaceAll(path, name), text);
  const walk = (each: unknown): unknown => {
    if (typeof each === 'string') return shown(each);
    if (Array.isArray(each)) return each.map(walk);
    if (typeof each !== 'object' || each === null) return each;
    return Object.fromEntries(Object.entries(each).map(([key, inner]) => [key, walk(inner)]));
  };
  return walk(value) as T; // as: only texts change
}
