import { z } from 'zod';
import type { Context } from '../../context.ts';
import { OutputExistsError } from '../../errors.ts';
import { nestsTooDeep } from '../../io/json/json-text.ts';

/** The file that each result has, and that is written last. */
export const RECORD = 'sdconvert.json';

/**
 * Where results go, each a folder with a record (`sdconvert.json`) under a name of its own. Several machines may put the same result
 * at once: no file that is there is written again, the first whole result stays, and the bytes of all are the same. Only a record
 * is replaced, by one that says the same and what was measured since.
 */
export interface Store {
  /** As the user wrote it: `/mnt/results`, `s3://bucket/prefix`. */
  readonly address: string;
  /** The text of a result's record; `undefined` where the result is not there, or not whole yet. */
  recordOf(name: string): Promise<string | undefined>;
  /**
   * Puts a folder there as a result; says whether anything was put, or the same was there already. Throws `OutputExistsError` for
   * another one under the name, `DiskSpaceError` where the store has no room, `RequestError` where writing is not allowed.
   */
  put(name: string, folder: string, context: Context): Promise<'put' | 'there'>;
  /**
   * Gives a local folder with a result: the store's own, or `into`, which is made. Throws `NotFoundError`, and `FileFormatError` where
   * its files are not those that were put there: `into` is not made then.
   */
  get(name: string, into: string, context: Context): Promise<string>;
  /** Removes a result; what has no record stays. Throws `OutputExistsError` where other results are within it. */
  remove(name: string): Promise<void>;
  close(): Promise<void>;
}

/** Another result is under a name. */
export function otherResult(address: string, name: string, what: string): OutputExistsError {
  return new OutputExistsError({
    problem: `${address} already holds another result under ${name}: ${what}.`,
    advice: 'Pass --force to sdconvert submit to replace it, or name another place: --results.',
  });
}

/** Throws `OutputExistsError` where a result, by the names of its files, holds others: they would go with it. */
export function refuseOthersWithin(address: string, name: string, files: readonly string[]): void {
  const other = files.find((file) => file.endsWith(`/${RECORD}`));
  if (other === undefined) return;
  throw new OutputExistsError({
    problem: `${address}/${name} cannot be replaced: another result is within it, ${other.slice(0, -RECORD.length - 1)}.`,
    advice: 'Name another place for the results: --results.',
  });
}

const measuredPart = z.looseObject({ item: z.looseObject({ quality: z.unknown().optional() }).optional() });

/**
 * What a record is to the one that is there: `same` where it says nothing new, `newer` where it differs in what was measured alone,
 * else of another result.
 */
export function compareRecords(there: string, own: string): 'same' | 'newer' | 'other' {
  if (there === own) return 'same';
  const [before, now] = [there, own].map((text) => measuredPart.safeParse(parsed(text)).data);
  if (!before?.item || !now?.item) return 'other';
  const { quality: _, ...item } = before.item;
  const { quality, ...ownItem } = now.item;
  if (JSON.stringify({ ...before, item }) !== JSON.stringify({ ...now, item: ownItem })) return 'other';
  return quality === undefined ? 'same' : 'newer';
}

/** A record as plain data; `undefined` where it is none, or nests without end. */
export function parsed(record: string): unknown {
  if (nestsTooDeep(record)) return undefined;
  try {
    return JSON.parse(record);
  } catch {
    return undefined;
  }
}
