import type { NetworkKind } from '../../convert/networks/networks.ts';
import type { ClientForm } from '../../formats/client-form.ts';
import type { TargetName } from '../../formats/format.ts';

/** All clients whose files are known, those of each target's own form first. */
export const clientNames = [
  'optimum',
  'ort-web',
  'diffusers-js',
  'onnxstack',
  'openvino',
  'webnn-sd15',
  'swift',
  'mochi',
  'guernika',
  'comfyui',
  'coreai',
] as const;

/** A program that loads converted models. */
export type ClientName = (typeof clientNames)[number];

/**
 * All that distinguishes a client's files from those of the other clients of its target. A profile is a value: models are
 * built once, and their edges are changed.
 */
export interface Profile {
  readonly target: TargetName;
  /** Who loads the files, for a list. */
  readonly title: string;
  /** The folder that the client loads, relative to the output. */
  readonly folder: string;
  /** Form of its artifacts; absent where they are the target's own. */
  readonly form?: ClientForm;
  /** Networks without which it cannot draw; a second text encoder only where the UNet reads it. */
  readonly required: readonly NetworkKind[];
  /** Networks that it loads. */
  readonly networks: readonly NetworkKind[];
  /** Whether it loads a UNet in chunks. */
  readonly takesChunks?: boolean;
  /** Whether it loads what convert writes as it is: there is nothing to bundle for it. */
  readonly isComplete?: boolean;
  /** Classes of schedulers that it has; any when left out. Another class is replaced by the first. */
  readonly schedulers?: readonly [string, ...string[]];
  /** Values of `_class_name` that it takes; any when left out. */
  readonly pipelines?: readonly string[];
  /** Entries of model_index.json that it checks: library and class. */
  readonly components?: Readonly<Record<string, readonly [library: string, className: string]>>;
  /** Files that it reads beside the models, relative to the folder. */
  readonly files: readonly string[];
  /** Names of models in one folder, for a client that loads these; the same files as in the networks' folders. */
  readonly flatNames?: { readonly [K in NetworkKind]?: string };
  /** Whether the UNet's and the text encoders' metadata carry the settings of the checkpoint. */
  readonly settingsInMetadata?: boolean;
  /** Names of outputs that differ from those of Apple’s models. */
  readonly outputNames?: Readonly<Record<string, string>>;
  /** What else a user should know, a sentence each. */
  readonly notes: readonly string[];
}
