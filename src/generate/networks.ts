import type { NetworkName } from '../convert/networks/networks.ts';
import type { Runner, RunnerOptions } from '../formats/runner.ts';
import { openNetwork } from '../run/open-network.ts';
import { type DrawingFolder, requireModel } from './drawing-folder.ts';

/** Keeps one network in memory: it stays loaded until another one is. */
export class LoadedNetwork {
  #loaded: { readonly key: string; readonly network: Runner } | undefined;

  /** The network of these paths, all chunks of it. Throws what opening it throws. */
  async load(paths: readonly string[], options: RunnerOptions): Promise<Runner> {
    const key = paths.join('\n');
    if (this.#loaded?.key === key) return this.#loaded.network;
    await this.close();
    const network = await openNetwork(paths, options);
    this.#loaded = { key, network };
    return network;
  }

  /** Closes the network that is loaded, if any. */
  async close(): Promise<void> {
    const loaded = this.#loaded;
    this.#loaded = undefined;
    await loaded?.network.close();
  }
}

/**
 * Loads the networks of a folder, one in memory at a time, so that several pictures load each once; folders that have networks in
 * common may share what is loaded. With `reduceMemory` a network is closed after each use, and its weights stay in their files,
 * mapped, instead of being copied into the layout that runs fastest.
 */
export class Networks {
  readonly #folder: DrawingFolder;
  readonly #reduceMemory: boolean;
  readonly #loaded: LoadedNetwork;

  constructor(
    folder: DrawingFolder,
    { reduceMemory }: { readonly reduceMemory: boolean },
    loaded = new LoadedNetwork(),
  ) {
    this.#folder = folder;
    this.#reduceMemory = reduceMemory;
    this.#loaded = loaded;
  }

  /** Options that every network of the drawing is loaded with. */
  get options(): RunnerOptions {
    return { optimize: !this.#reduceMemory };
  }

  /**
   * Calls `use` with a network. One with changes to a text encoder is closed right after. Throws `NotFoundError` when the folder
   * does not have it, and what opening it throws.
   */
  async use<T>(
    name: NetworkName,
    use: (network: Runner) => Promise<T>,
    changes: Pick<RunnerOptions, 'textEncoder'> = {},
  ): Promise<T> {
    const { paths } = requireModel(this.#folder, name);
    const network = await this.#loaded.load(paths, { ...this.options, ...changes });
    try {
      return await use(network);
    } finally {
      if (this.#reduceMemory || changes.textEncoder) await this.close();
    }
  }

  /** Closes the network that is loaded, if any. */
  close(): Promise<void> {
    return this.#loaded.close();
  }
}
