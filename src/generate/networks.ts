import type { NetworkName } from '../convert/networks/networks.ts';
import type { Runner, RunnerOptions } from '../formats/runner.ts';
import { openNetwork } from '../run/open-network.ts';
import { type DrawingFolder, requireModel } from './drawing-folder.ts';

/**
 * Loads the networks of a folder, one in memory at a time: a network stays loaded until another one is used, so that several
 * pictures load it once. With `reduceMemory` it is closed after each use, and its weights stay in their files, mapped, instead
 * of being copied into the layout that runs fastest.
 */
export class Networks {
  readonly #folder: DrawingFolder;
  readonly #reduceMemory: boolean;
  #loaded: { readonly name: NetworkName; readonly network: Runner } | undefined;

  constructor(folder: DrawingFolder, { reduceMemory }: { readonly reduceMemory: boolean }) {
    this.#folder = folder;
    this.#reduceMemory = reduceMemory;
  }

  /** Options that every network of the drawing is loaded with. */
  get options(): RunnerOptions {
    return { optimize: !this.#reduceMemory };
  }

  /**
   * Calls `use` with a network (all its chunks, if it is cut). One with changes to a text encoder is closed right after. Throws
   * `NotFoundError` when the folder does not have it, and what opening it throws.
   */
  async use<T>(
    name: NetworkName,
    use: (network: Runner) => Promise<T>,
    changes: Pick<RunnerOptions, 'textEncoder'> = {},
  ): Promise<T> {
    if (this.#loaded?.name !== name) {
      await this.close();
      const network = await openNetwork(requireModel(this.#folder, name).paths, {
        ...this.options,
        ...changes,
      });
      this.#loaded = { name, network };
    }
    try {
      return await use(this.#loaded.network);
    } finally {
      if (this.#reduceMemory || changes.textEncoder) await this.close();
    }
  }

  /** Closes the network that is loaded, if any. */
  async close(): Promise<void> {
    const loaded = this.#loaded;
    this.#loaded = undefined;
    await loaded?.network.close();
  }
}
