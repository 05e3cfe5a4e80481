import type { Weight } from '../weights/weight.ts';
import type { Part } from './recognize/survey.ts';
import { leftOverError, leftOverNote } from './single-file/left-over.ts';
import { splitSingleFile } from './single-file/split.ts';

/** The classes whose tensors are looked for behind whatever prefix they have. */
const partsByClass: ReadonlyMap<string, Part> = new Map<string, Part>([
  ['UNet2DConditionModel', 'unet'],
  ['AutoencoderKL', 'vae'],
  ['CLIPTextModel', 'text_encoder'],
  ['CLIPTextModelWithProjection', 'text_encoder_2'],
  ['ControlNetModel', 'controlnet'],
]);

/** The tensors of one network, and what was done to have them. */
export interface NetworkWeights {
  readonly weights: ReadonlyMap<string, Weight>;
  readonly notes: readonly string[];
}

/**
 * What a component's files hold of its network: without the prefix that a wrapper or a compiler left before all names
 * (`_orig_mod.`, `module.`, `unet.`), with a LoRA that was saved unfused merged, and without what belongs to no network.
 * Of other classes, and where no such network shows, everything. Throws `UnusedWeightError` with `strict`, and as
 * `splitSingleFile` does.
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
  // A lone text encoder does not say whose second it is.
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

/** Alone, a second text encoder passes for a first, which has no projection. */
const PROJECTION = 'text_projection.weight';

function isProjection(name: string): boolean {
  return name === PROJECTION || name.endsWith(`.${PROJECTION}`);
}
