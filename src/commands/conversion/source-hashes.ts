import { basename, isAbsolute } from 'node:path';
import type { Component } from '../../checkpoint/checkpoint.ts';
import { refuseDamagedBlob } from '../../hub/damaged-blob.ts';
import { hashFile } from '../../io/hashing/hash-file.ts';
import { oncePerFile } from '../../io/once-per-file.ts';
import { refuseReplaced } from '../../io/opened-files.ts';
import { pathFrom } from '../../io/path-from.ts';
import type { Resource } from '../../pipeline.ts';

/** SHA-256 of a checkpoint's files, each computed once, on first use, in another thread, one after the other. */
export class SourceHashes implements Resource {
  readonly #folder: string;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #hashes = new Map<string, Promise<string>>();
  /** What the conversion reads, and what it was as it was hashed: to hash and to copy it is to open it again. */
  readonly #sources = new Map<string, string | undefined>();
  readonly #hashOnce = oncePerFile(async (file) => {
    const isSource = this.#sources.has(file);
    if (isSource) this.#sources.set(file, await refuseReplaced(file));
    const sha256 = await hashFile(file, this.#signal);
    if (isSource) await refuseReplaced(file, this.#sources.get(file));
    await refuseDamagedBlob(file, sha256);
    return sha256;
  });
  #last: Promise<unknown> = Promise.resolve();

  constructor(checkpointFolder: string, signal: AbortSignal | undefined) {
    this.#folder = checkpointFolder;
    this.#signal = AbortSignal.any([this.#stop.signal, ...(signal ? [signal] : [])]);
  }

  /** Begins with the hashes of components, in the order in which they will be needed. A failure is thrown where they are. */
  begin(components: Iterable<Component>): void {
    for (const component of components) this.of(component).catch(() => {});
  }

  /**
   * Hashes of a component's files, by path relative to the checkpoint; files from elsewhere by name, so that no path of
   * the machine is recorded.
   */
  async of(component: Component): Promise<Record<string, string>> {
    const { files, configFile, adapted } = component;
    // A config that was adapted follows from the weights, so it is not a source.
    const sources = adapted ? files : [...files, configFile];
    const hashes = sources.map(async (file): Promise<[string, string]> => {
      const path = pathFrom(this.#folder, file);
      const isInside = path !== '' && !path.startsWith('..') && !isAbsolute(path);
      return [isInside ? path : basename(file), await this.ofSource(file)];
    });
    return Object.fromEntries(await Promise.all(hashes));
  }

  /** Hash of a file that the conversion reads. Throws as `hash`, and `FileFormatError` for one that was replaced since it was opened. */
  ofSource(file: string): Promise<string> {
    if (!this.#sources.has(file)) this.#sources.set(file, undefined);
    return this.hash(file);
  }

  /** Throws `FileFormatError` where a source that was hashed is not the file any more that is read. */
  async checkUnchanged(): Promise<void> {
    for (const [file, before] of this.#sources) await refuseReplaced(file, before);
  }

  /** Hash of any file, computed once. Throws `FileFormatError` for one that was damaged in the Hub's cache. */
  hash(file: string): Promise<string> {
    const known = this.#hashes.get(file);
    if (known) return known;
    const hash = this.#last.then(() => this.#hashOnce(file));
    this.#last = hash.catch(() => {});
    this.#hashes.set(file, hash);
    return hash;
  }

  /** Ends the thread: what is not hashed by then is no longer needed. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#last;
  }
}
