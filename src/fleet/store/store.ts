import type { Context } from '../../context.ts';
import { OutputExistsError } from '../../errors.ts';

/** The file that each result has, and that is written last. */
export const RECORD = 'sdconvert.json';

/**
 * Where results go, each a folder with a record (`sdconvert.json`) under a name of its own. Several machines may put the same result
 * at once: no file that is there is written again, the first whole result stays, and the bytes of all are the same.
 */
export interface Store {
  /** As the user wrote it: `/mnt/results`, `s3://bucket/prefix`. */
  readonly address: string;
  /** The text of a result's record; `undefined` where the result is not there, or not whole yet. */
  recordOf(name: string): Promise<string | undefined>;
  /**
   * Puts a folder there as a result; says whether it was put, or the same was there already. Throws `OutputExistsError` for another
   * one under the name, `DiskSpaceError` where the store has no room, `RequestError` where writing is not allowed.
   */
  put(name: string, folder: string, context: Context): Promise<'put' | 'there'>;
  /** Gives a local folder with a result: the store's own, or `into`, which is made. Throws `NotFoundError`. */
  get(name: string, into: string, context: Context): Promise<string>;
  close(): Promise<void>;
}

/** Another result is under a name. */
export function otherResult(address: string, name: string, what: string): OutputExistsError {
  return new OutputExistsError({
    problem: `${address} already holds another result under ${name}: ${what}.`,
    advice: 'Remove it there, or name another place for the results.',
  });
}
