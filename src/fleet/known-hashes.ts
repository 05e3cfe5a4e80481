import { z } from 'zod';
import { type Context, throwIfInterrupted } from '../context.ts';
import { SdConvertError } from '../errors.ts';
import { hashFile } from '../io/hashing/hash-file.ts';
import { readStrictJson, writeJson } from '../io/json/strict-json.ts';
import { notFound } from '../io/not-found.ts';
import { identityOfFile } from '../io/opened-files.ts';

/** The name of the file in a folder of results. */
export const HASHES_FILE = '.sdconvert-hashes.json';

/** By path: what the file was when it was hashed, and its SHA-256. */
const schema = z.record(z.string(), z.tuple([z.string(), z.string()]));

/**
 * SHA-256 of files, remembered in a file: a second run need not read hundreds of checkpoints to see that they are the same. A
 * hash counts for as long as nothing about the file has changed. To remove the file costs nothing but time.
 */
export class KnownHashes {
  readonly #path: string | undefined;
  readonly #known: Map<string, readonly [identity: string, sha256: string]>;
  readonly #used = new Map<string, Promise<string>>();

  private constructor(path: string | undefined, known: z.infer<typeof schema>) {
    this.#path = path;
    this.#known = new Map(Object.entries(known));
  }

  /** Reads the hashes at a path; without one, or where there is nothing of use, none are known. */
  static async open(path?: string): Promise<KnownHashes> {
    // Somebody else's file, or none that can be read, costs no more than time.
    const found = path === undefined ? undefined : await readStrictJson(path).catch(unlessDefect);
    return new KnownHashes(path, schema.safeParse(found).data ?? {});
  }

  /** The SHA-256 of a file, in hexadecimal. Throws as `hashFile`. */
  of(file: string, signal?: AbortSignal): Promise<string> {
    const hash = this.#used.get(file) ?? this.#hash(file, signal);
    this.#used.set(file, hash);
    return hash;
  }

  async #hash(file: string, signal: AbortSignal | undefined): Promise<string> {
    throwIfInterrupted(signal);
    const identity = await identityOfFile(file);
    if (identity === undefined) throw notFound(file);
    const known = this.#known.get(file);
    if (known?.[0] === identity) return known[1];
    const sha256 = await hashFile(file, signal);
    // What was changed meanwhile is hashed again the next time.
    if ((await identityOfFile(file)) === identity) this.#known.set(file, [identity, sha256]);
    return sha256;
  }

  /** Remembers the hashes that were asked for. Where that fails nothing is lost but time, which is worth a note and no more. */
  async save({ onProgress }: Context = {}): Promise<void> {
    if (this.#path === undefined) return;
    const used = [...this.#known].filter(([file]) => this.#used.has(file));
    try {
      await writeJson(this.#path, Object.fromEntries(used.toSorted()), 1);
    } catch (error) {
      if (!(error instanceof SdConvertError)) throw error;
      const message = `hashes are not remembered, and the next run reads every file again: ${error.problem}`;
      onProgress?.({ type: 'note', message });
    }
  }
}

function unlessDefect(error: unknown): undefined {
  if (!(error instanceof SdConvertError)) throw error;
}
