import { RequestError } from '../errors.ts';
import { type Place, placeName, type ReadManifest } from './read-manifest.ts';

/** The error for a value of a manifest that contradicts another, or the disk. */
export function refused(read: ReadManifest, place: Place, problem: string, advice: string): RequestError {
  return new RequestError({ problem: `${read.at(place)}: ${placeName(place)} ${problem}.`, advice });
}
