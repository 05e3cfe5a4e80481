/** What names have in common that are one on Windows and macOS, where case does not count. */
export function keyOf(name: string): string {
  return name.normalize('NFC').toLowerCase();
}

/** Two of these names whose keys are one; `undefined` when there are none. */
export function sameButForCase(names: Iterable<string>): readonly [string, string] | undefined {
  const known = new Map<string, string>();
  for (const name of names) {
    const key = keyOf(name);
    const other = known.get(key);
    if (other !== undefined && other !== name) return [other, name];
    known.set(key, name);
  }
  return undefined;
}
