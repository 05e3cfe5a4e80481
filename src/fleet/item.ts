import type { ModelSources } from '../checkpoint/model-sources.ts';
import type { ConvertOptions } from '../commands/conversion/request.ts';

/**
 * An item is one variant of one checkpoint: what a batch converts, and what a queue has a job for. Items, and all that steps
 * take and give, are values that survive JSON: paths in them are absolute, and nothing in them is of one machine but those.
 */
export interface Item {
  /** `dreamshaper/palette-6`: the checkpoint's name and the variant's. */
  readonly name: string;
  /** The checkpoint, and what is merged into it or converted beside it. */
  readonly models: ItemModels;
  /** SHA-256 that files of the checkpoint must have: by path in its folder, or of the file itself under the empty path. */
  readonly sha256?: Readonly<Record<string, string>> | undefined;
  readonly options: ItemOptions;
  /** Folder of the results. */
  readonly output: string;
  /** What the results are compared with: `float32`, which is the same checkpoint, or a path; nothing when left out. */
  readonly reference?: string | undefined;
  /** Lowest PSNR in dB against the reference that passes. */
  readonly floor?: number | undefined;
}

/** The models of an item: paths, or ids on the Hub. */
export type ItemModels = Omit<ModelSources, 'hub' | 'strict'> & {
  /** Branch, tag or commit of the checkpoint on the Hub. */
  readonly revision?: string | undefined;
};

/** How an item is converted: all options that change its bytes. */
export type ItemOptions = Pick<
  ConvertOptions,
  | 'targets'
  | 'clients'
  | 'models'
  | 'without'
  | 'precision'
  | 'attention'
  | 'quantization'
  | 'maxChunkBytes'
  | 'sizes'
  | 'deployment'
  | 'compiler'
  | 'bundle'
>;

/** An item whose models are certain: what is on the Hub is named by its commit, what is on the disk by its bytes. */
export interface IdentifiedItem extends Item {
  /**
   * Identifies the result: SHA-256 of the models' bytes and names, the options and the version of sdconvert. Two items with
   * one id have the same files.
   */
  readonly id: string;
  /** Identifies what is compared with: `float32`, or a SHA-256; absent where nothing is. */
  readonly referenceIdentity?: string | undefined;
}
