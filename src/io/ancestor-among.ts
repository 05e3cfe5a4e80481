/**
 * A function that gives which of these paths another one is, or is below (of several, the highest); `undefined` for none. Paths have
 * slashes. It takes hardly longer for many paths than for few, however deep they are: records of strangers list any.
 */
export function ancestorAmong(paths: Iterable<string>): (path: string) => string | undefined {
  // With the separator as the lowest character, what is below a path follows it at once.
  const sorted = [...new Set(paths)].map((path) => ({ path, key: keyOf(path) })).sort(byKey);
  const highest: typeof sorted = [];
  for (const each of sorted) {
    const last = highest.at(-1);
    if (!last || !isWithin(each.key, last.key)) highest.push(each);
  }
  return (path) => {
    const key = keyOf(path);
    let [low, high] = [0, highest.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((highest[middle]?.key ?? '') <= key) low = middle + 1;
      else high = middle;
    }
    const before = highest[low - 1];
    return before && isWithin(key, before.key) ? before.path : undefined;
  };
}

function keyOf(path: string): string {
  return path.replaceAll('/', '\0');
}

function isWithin(key: string, other: string): boolean {
  return key === other || key.startsWith(`${other}\0`);
}

function byKey(a: { readonly key: string }, b: { readonly key: string }): number {
  return a.key < b.key ? -1 : 1;
}
