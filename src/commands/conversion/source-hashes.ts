import { basename, isAbsolute, relative } from 'node:path';
import type { Component } from '../../checkpoint/checkpoint.ts';
import { hashFile } from '../../io/hash-file.ts';
import type { Resource } from '../../pipeline.ts';

/** SHA-256 of a checkpoint's files, each computed once, when first asked for, in a thread of its own. */
export class SourceHashes implements Resource {
  readonly #folder: string;
  readonly #signal: AbortSignal | undefined;
  readonly #hashes = new Map<string, Promise<string>>();

  constructor(checkpointFolder: string, signal: AbortSignal | undefined) {
    this.#folder = checkpointFolder;
    this.#signal = signal;
  }

  /** Of a component's files, by path relative to the checkpoint; those from elsewhere by name, as paths say something of a machine. */
  async of({ files, configFile, adapted }: Component): Promise<Record<string, string>> {
    // What was fitted to the weights follows from them.
    const sources = adapted ? files : [...files, configFile];
    const hashes = sources.map(async (file): Promise<[string, string]> => {
      const path = relative(this.#folder, file);
      const isInside = path !== '' && !path.startsWith('..') && !isAbsolute(path);
      return [isInside ? path : basename(file), await this.hash(file)];
    });
    return Object.fromEntries(await Promise.all(hashes));
  }

  /** Of any file, once. */
  hash(file: string): Promise<string> {
    const hash = this.#hashes.get(file) ?? hashFile(file, this.#signal);
    this.#hashes.set(file, hash);
    return hash;
  }

  /** Waits for the threads to end, whether anybody still wants their results or not. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#hashes.values());
  }
}
