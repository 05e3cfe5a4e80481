import { basename, isAbsolute, relative } from 'node:path';
import type { Component } from '../../checkpoint/checkpoint.ts';
import { hashFile } from '../../io/hash-file.ts';
import type { Resource } from '../../pipeline.ts';

/** SHA-256 of a checkpoint's files, each computed once, on first use, in its own thread. */
export class SourceHashes implements Resource {
  readonly #folder: string;
  readonly #signal: AbortSignal | undefined;
  readonly #hashes = new Map<string, Promise<string>>();

  constructor(checkpointFolder: string, signal: AbortSignal | undefined) {
    this.#folder = checkpointFolder;
    this.#signal = signal;
  }

  /**
   * Hashes of a component's files, by path relative to the checkpoint; files from elsewhere by name, so that no path of
   * the machine is recorded.
   */
  async of({ files, configFile, adapted }: Component): Promise<Record<string, string>> {
    // A config that was adapted follows from the weights, so it is not a source.
    const sources = adapted ? files : [...files, configFile];
    const hashes = sources.map(async (file): Promise<[string, string]> => {
      const path = relative(this.#folder, file);
      const isInside = path !== '' && !path.startsWith('..') && !isAbsolute(path);
      return [isInside ? path : basename(file), await this.hash(file)];
    });
    return Object.fromEntries(await Promise.all(hashes));
  }

  /** Hash of any file, computed once. */
  hash(file: string): Promise<string> {
    const hash = this.#hashes.get(file) ?? hashFile(file, this.#signal);
    this.#hashes.set(file, hash);
    return hash;
  }

  /** Waits for all threads to end, even if their results are no longer needed. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#hashes.values());
  }
}
