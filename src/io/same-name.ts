/** Two of these names that are one on Windows and macOS, where case does not count; `undefined` when there are none. */
export function sameButForCase(names: Iterable<string>): readonly [string, string] | undefined {
  const known = new Map<string, string>();
  for (const name of names) {
    const key = name.normalize('NFC').toLowerCase();
    const other = known.get(key);
    if (other !== undefined && other !== name) return [other, name];
    known.set(key, name);
  }
  return undefined;
}
