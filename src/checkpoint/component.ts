import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { NotFoundError } from '../errors.ts';
import { exists, listFolder } from '../io/disk.ts';
import { type JsonObject, readJsonObject } from '../io/python-json.ts';
import type { Weight } from '../weights/weight.ts';
import { type ComponentWeights, openComponentWeights, type Variant } from './component-weights.ts';
import { networkWeights } from './network-weights.ts';
import { usualConfig } from './usual-config.ts';

/** A network of a checkpoint: its configuration, and its weights unread. */
export interface Component {
  /** Its folder: `unet`, `vae`, `text_encoder`, … */
  readonly name: string;
  /** Its class in model_index.json, e.g. `UNet2DConditionModel`. */
  readonly className: string;
  /** What it is called where it comes from elsewhere than the checkpoint: its id on the Hub, or its own name. */
  readonly id?: string | undefined;
  readonly config: JsonObject;
  /** The file that `config` comes from, for error messages. */
  readonly configFile: string;
  /** Whether `config` is that file fitted to the weights' shapes: single files bring none of their own. */
  readonly adapted?: true;
  /** Whether `config` says what that file says in the usual spelling, and not in its own. */
  readonly respelled?: true;
  /** Every tensor by name. */
  readonly weights: ReadonlyMap<string, Weight>;
  /** The weight files, by path. */
  readonly files: readonly string[];
}

/** How a ControlNet that is not whole says what it is of the base's UNet. */
export type Incomplete = 'difference' | 'control-lora';

/** A component whose files are open. */
export interface OpenComponent extends Component {
  /** How it is told by the weights of the checkpoint that it goes with, where it is not whole. */
  readonly incomplete?: Incomplete | undefined;
  /** What was assumed, a sentence each. */
  readonly notes: readonly string[];
  close(): Promise<void>;
}

/** How to open a component's folder. */
export interface FolderOptions {
  /** Which weights to take where it has several. */
  readonly variant?: Variant | undefined;
  /** Whether what lies beside the network is refused instead of left aside. */
  readonly strict?: boolean | undefined;
}

/** Opens a diffusers folder of one component. Throws `NotFoundError`, `FileFormatError` and as its weights do. */
export async function openComponentFolder(
  folder: string,
  { name, className }: { readonly name: string; readonly className: string },
  { variant, strict }: FolderOptions = {},
): Promise<OpenComponent> {
  const configFile = join(folder, 'config.json');
  if (!(await exists(configFile))) {
    throw new NotFoundError({
      problem: `${folder} has no config.json.`,
      details: { found: (await listFolder(folder)).slice(0, 12).join(', ') || 'an empty folder' },
      advice: 'The download is not complete: download what is missing.',
    });
  }
  const written = await readJsonObject(configFile);
  const { files, weights: all, close }: ComponentWeights = await openComponentWeights(folder, variant);
  try {
    const { weights, notes } = networkWeights(className, folder, all, { strict });
    const config = usualConfig(className, written, weights);
    const respelled = isDeepStrictEqual(config, written) ? {} : ({ respelled: true } as const);
    return { name, className, config, ...respelled, configFile, weights, files, notes, close };
  } catch (error) {
    await close();
    throw error;
  }
}
