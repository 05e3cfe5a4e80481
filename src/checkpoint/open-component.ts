import { join } from 'node:path';
import { NotFoundError, SdConvertError, UnsupportedModelError } from '../errors.ts';
import { exists, pathKind } from '../io/disk.ts';
import { asName } from '../io/error-text.ts';
import { readJsonObject } from '../io/json/python-json.ts';
import { notFound } from '../io/not-found.ts';
import { openWeightFile } from '../weights/weight-file.ts';
import { snapshotOf } from './cache-folder.ts';
import { type OpenComponent, openComponentFolder } from './component.ts';
import { openComponentWeights, type Variant } from './component-weights.ts';
import type { Family } from './family.ts';
import { type RecognizedWeights, recognizeWeights } from './recognize/weight-file-kind.ts';
import { recognizeFile } from './recognize-file.ts';
import { readSingleComponent } from './single-file/open-single-file.ts';

/** The parts that a component can be opened as, with their classes; single files have the first class. */
export const componentClasses = {
  unet: ['UNet2DConditionModel'],
  vae: ['AutoencoderKL', 'AutoencoderTiny', 'AsymmetricAutoencoderKL'],
  controlnet: ['ControlNetModel'],
} as const satisfies Record<string, readonly [string, ...string[]]>;

const titles = { unet: 'UNet', vae: 'VAE', controlnet: 'ControlNet' } as const;

/** Options for opening a component alone. */
export interface ComponentOptions {
  /** The part that it must be. */
  readonly as: keyof typeof componentClasses;
  /** Variant of the weights, where a folder has several. */
  readonly variant?: Variant | undefined;
  /** Its family, where its shapes do not show it: VAEs of SDXL and 1.x have the same shapes. */
  readonly family?: Family | undefined;
  /** Whether tensors outside of the network are refused instead of ignored. */
  readonly strict?: boolean | undefined;
}

/**
 * Opens one component: its own folder, the folder of a checkpoint that has it, or a single file. Throws
 * `NotFoundError`, `UnsupportedModelError` that names what was given instead, and as opening the weights does.
 */
export async function openComponent(given: string, options: ComponentOptions): Promise<OpenComponent> {
  const { as } = options;
  const path = await snapshotOf(given);
  const kind = await pathKind(path);
  if (kind === undefined) throw notFound(path);
  if (kind === 'file') {
    const file = await openWeightFile(path);
    try {
      const known = await recognizeFile(path, file.weights);
      return await readSingleComponent(file, {
        known,
        as,
        className: componentClasses[as][0],
        family: options.family,
        strict: options.strict,
      });
    } catch (error) {
      await file.close();
      throw error;
    }
  }
  const isCheckpoint = await exists(join(path, 'model_index.json'));
  const folder = isCheckpoint ? join(path, as) : path;
  const configFile = join(folder, 'config.json');
  if (!(await exists(configFile))) {
    throw new NotFoundError({
      problem: isCheckpoint
        ? `${path} is a checkpoint without a ${titles[as]}.`
        : `${path} is not the folder of a ${titles[as]}: it has no config.json.`,
      details: { 'looked for': configFile },
      advice: `Give the folder of a ${titles[as]}, which holds config.json and the weights, or its single file.`,
    });
  }
  const { _class_name: found } = await readJsonObject(configFile);
  const className = componentClasses[as].find((name) => name === found);
  if (className !== undefined) return openComponentFolder(folder, { name: as, className }, options);
  const known = await recognizeFolder(folder);
  throw new UnsupportedModelError({
    problem: known
      ? `${path} is ${known.what}${known.kind === 'unsupported' ? '' : `, but a ${titles[as]} is needed there`}.`
      : `${path} is not a supported ${titles[as]}.`,
    details: {
      expected: componentClasses[as].join(' or '),
      found: asName(found ?? 'a config.json without _class_name'),
    },
    advice: known?.kind === 'unsupported' ? known.advice : `Give the folder or file of a ${titles[as]}.`,
  });
}

/** Recognises a folder's weights; `undefined` where they cannot be opened. */
async function recognizeFolder(folder: string): Promise<RecognizedWeights | undefined> {
  try {
    const { weights, close } = await openComponentWeights(folder);
    await close();
    return recognizeWeights(weights, folder);
  } catch (error) {
    if (error instanceof SdConvertError) return undefined;
    throw error;
  }
}
