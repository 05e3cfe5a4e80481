import { isModelPlace } from '../formats/provenance.ts';
import { profiles } from './profiles/profiles.ts';

const folders: ReadonlySet<string> = new Set(Object.values(profiles).map(({ folder }) => folder));

/**
 * Whether conversions write something at a path of their output folder: a client's folder or a model. Records may come from anybody, and
 * what they name elsewhere is not sdconvert's to remove.
 */
export function isWrittenPlace(path: string): boolean {
  return folders.has(path) || isModelPlace(path);
}
