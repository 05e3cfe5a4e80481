import { join, resolve } from 'node:path';
import { DiskSpaceError } from '../../errors.ts';
import { exists, listFolder, removePath } from '../../io/disk.ts';
import { folderSize } from '../../io/file-sizes.ts';
import { formatBytes } from '../../text.ts';
import type { IdentifiedItem } from '../item.ts';

/**
 * What a worker has on its disk: unfinished results, and where its size is limited what it downloaded. Only one step runs at a
 * time, so nobody else writes there; what is not of the running item can go.
 */
export class WorkerFolder {
  readonly #path: string;
  readonly #maxBytes: number | undefined;

  constructor(path: string, maxBytes: number | undefined) {
    this.#path = path;
    this.#maxBytes = maxBytes;
  }

  /** The cache of the Hub that counts as the worker's own. */
  static cacheIn(path: string): string {
    return join(path, 'hub');
  }

  /** Where an item's results grow. */
  resultOf({ id }: Pick<IdentifiedItem, 'id'>): string {
    return join(this.#path, 'results', id);
  }

  /**
   * Makes room for bytes that an item needs, by removing what is of others where the limit would be exceeded. Throws
   * `DiskSpaceError` where it still would be.
   */
  async admit(bytes: number, item: IdentifiedItem): Promise<void> {
    if (this.#maxBytes === undefined || (await this.#size()) + bytes <= this.#maxBytes) return;
    for (const place of await this.#places())
      if (place !== this.resultOf(item) && !isSourceOf(item, place)) await removePath(place);
    const size = await this.#size();
    if (size + bytes <= this.#maxBytes) return;
    throw new DiskSpaceError({
      problem: `${item.name} needs ${formatBytes(size + bytes)} on the disk of a worker that may use ${formatBytes(this.#maxBytes)}.`,
      advice: 'Raise its --max-disk, or start a worker with a larger disk: the step is tried again.',
    });
  }

  /** Removes an item's results, which are elsewhere by now. */
  async finish(item: Pick<IdentifiedItem, 'id'>): Promise<void> {
    await removePath(this.resultOf(item));
  }

  /** Results and downloaded repositories. */
  async #places(): Promise<string[]> {
    const all: string[] = [];
    for (const folder of [join(this.#path, 'results'), WorkerFolder.cacheIn(this.#path)])
      if (await exists(folder)) all.push(...(await listFolder(folder)).map((name) => join(folder, name)));
    return all;
  }

  async #size(): Promise<number> {
    let bytes = 0;
    for (const place of await this.#places()) {
      // The other folders of a repository are links to its blobs.
      const blobs = join(place, 'blobs');
      bytes += await folderSize((await exists(blobs)) ? blobs : place);
    }
    return bytes;
  }
}

/** Whether a repository in the cache is named by an item's models. */
function isSourceOf({ models }: IdentifiedItem, place: string): boolean {
  const [, name] = /[/\\]models--([^/\\]+)$/.exec(resolve(place)) ?? [];
  return name !== undefined && JSON.stringify(models).includes(name.replaceAll('--', '/'));
}
