import { keyOf } from '../io/same-name.ts';

/** Two whose names are one, at least on systems where case does not count. */
export function sameKey<T extends { readonly name: string }>(all: Iterable<T>): readonly [T, T] | undefined {
  const known = new Map<string, T>();
  for (const each of all) {
    const other = known.get(keyOf(each.name));
    if (other) return [other, each];
    known.set(keyOf(each.name), each);
  }
  return undefined;
}
