import nodePath from 'node:path';

/** A path as seen from a folder, as records, reports and models hold it: with `/` on every system. */
export function pathFrom(
  folder: string,
  path: string,
  { relative, sep }: Pick<typeof nodePath, 'relative' | 'sep'> = nodePath,
): string {
  return relative(folder, path).split(sep).join('/');
}

/** Whether a path is a place or below it, by their names. */
export function isWithin(path: string, place: string): boolean {
  return path === place || path.startsWith(nodePath.join(place, nodePath.sep));
}
