import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { NotFoundError } from '../errors.ts';
import { exists, listFolder } from '../io/disk.ts';
import { type JsonObject, readJsonObject } from '../io/json/python-json.ts';
import type { Weight } from '../weights/weight.ts';
import { type ComponentWeights, openComponentWeights, type Variant } from './component-weights.ts';
import { networkWeights } from './network-weights.ts';
import { usualConfig } from './usual-config.ts';

/** A part of a checkpoint that has weights: its config, and its weights, which are not read yet. */
export interface Component {
  /** Its folder: `unet`, `vae`, `text_encoder`, … */
  readonly name: string;
  /** Its class in model_index.json, e.g. `UNet2DConditionModel`. */
  readonly className: string;
  /** Id on the Hub, or name, of a component that does not come from the checkpoint. */
  readonly id?: string | undefined;
  readonly config: JsonObject;
  /** The file that `config` comes from, for error messages. */
  readonly configFile: string;
  /** The files that single keys of `config` come from instead. */
  readonly fileOfKey?: Readonly<Record<string, string>>;
  /** Whether `config` is a family's config, adapted to the weights' shapes: single files have no configs. */
  readonly adapted?: true;
  /** Whether `config` was rewritten by `usualConfig` and differs from the file. */
  readonly respelled?: true;
  /** Every tensor by name. */
  readonly weights: ReadonlyMap<string, Weight>;
  /** The weight files, by path. */
  readonly files: readonly string[];
}

/** How an incomplete ControlNet is stored: as a difference to its base's UNet, or as a LoRA of it. */
export type Incomplete = 'difference' | 'control-lora';

/** A component whose files are open. */
export interface OpenComponent extends Component {
  /** How it is stored, where it is a ControlNet that needs the weights of its base. */
  readonly incomplete?: Incomplete | undefined;
  /** Notes on what was assumed, a sentence each. */
  readonly notes: readonly string[];
  close(): Promise<void>;
}

/** Options for opening a component's folder. */
export interface FolderOptions {
  /** Variant of the weights, where the folder has several. */
  readonly variant?: Variant | undefined;
  /** Whether tensors outside of the network are refused instead of ignored. */
  readonly strict?: boolean | undefined;
}

/**
 * Opens the diffusers folder of a component. Throws `NotFoundError`, `FileFormatError`, and as opening its weights
 * does.
 */
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
      advice: 'The download is not complete: download the missing files.',
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
