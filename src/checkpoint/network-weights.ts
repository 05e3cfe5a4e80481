import type { Weight } from '../weights/weight.ts';
import type { Part } from './recognize/survey.ts';
import { leftOverError, leftOverNote } from './single-file/left-over.ts';
import { splitSingleFile } from './single-file/split.ts';

/** Classes whose tensors are found behind any prefix. */
const partsByClass: ReadonlyMap<string, Part> = new Map<string, Part>([
  ['UNet2DConditionModel', 'unet'],
  ['AutoencoderKL', 'vae'],
  ['CLIPTextModel', 'text_encoder'],
  ['CLIPTextModelWithProjection', 'text_encoder_2'],
  ['ControlNetModel', 'controlnet'],
]);

/** The tensors of one network, and notes on how they were found. */
export interface NetworkWeights {
  readonly weights: ReadonlyMap<string, Weight>;
  readonly notes: readonly string[];
}

/**
 * Extracts a network's tensors from a component's files: without a prefix that a wrapper or compiler left in all names
 * (`_orig_mod.`, `module.`, `unet.`), with a LoRA that was saved unfused merged, and without tensors of no network. For
 * other classes, and where no such network is found, all tensors are returned. Throws `UnusedWeightError` with
 * `strict`, and as `splitSingleFile` does.
 */
export function networkWeights(
  className: string,
  folder: string,
  weights: ReadonlyMap<string, Weight>,
  { strict }: { readonly strict?: boolean | undefined },
): NetworkWeights {
  const part = partsByClass.get(className);
  if (!part) return { weights, notes: [] };
  const { parts, left: others, notes } = splitSingleFile({ path: folder, weights });
  // A text encoder alone does not show whether it is the first or the second.
  const isText = part === 'text_encoder' || part === 'text_encoder_2';
  const own =
    parts.get(part) ?? (isText ? (parts.get('text_encoder') ?? parts.get('text_encoder_2')) : undefined);
  if (!own) return { weights, notes: [] };
  const projection =
    part === 'text_encoder_2' && !own.has(PROJECTION) ? others.find(isProjection) : undefined;
  const left = others.filter((name) => name !== projection);
  if (strict && left.length > 0) throw leftOverError(folder, left);
  const found = projection === undefined ? undefined : weights.get(projection);
  const whole = found ? new Map(own).set(PROJECTION, { ...found, name: PROJECTION }) : own;
  return { weights: whole, notes: left.length > 0 ? [...notes, leftOverNote(folder, left)] : notes };
}

/** A second text encoder alone is taken for a first, which has no projection: this tensor is then left over. */
const PROJECTION = 'text_projection.weight';

function isProjection(name: string): boolean {
  return name === PROJECTION || name.endsWith(`.${PROJECTION}`);
}
