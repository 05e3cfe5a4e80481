/** What names have in common that are one on Windows and macOS, where case does not count. */
export function keyOf(name: string): string {
  return name.normalize('NFC').toLowerCase();
}

/** Two whose names have one key; `undefined` when there are none. */
export function sameNamed<T>(all: Iterable<T>, nameOf: (each: T) => string): readonly [T, T] | undefined {
  const known = new Map<string, T>();
  for (const each of all) {
    const key = keyOf(nameOf(each));
    const other = known.get(key);
    if (other !== undefined) return [other, each];
    known.set(key, each);
  }
  return undefined;
}

/** Two of these names that are different and have one key; `undefined` when there are none. */
export function sameButForCase(names: Iterable<string>): readonly [string, string] | undefined {
  return sameNamed(new Set(names), (name) => name);
}
