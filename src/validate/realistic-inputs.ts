import { CLIP_TOKENS } from '../convert/config/clip-text-config.ts';
import { LATENT_CHANNELS, PIXELS } from '../convert/networks/latents.ts';
import { cardOf, type NetworkKind } from '../convert/networks/networks.ts';
import type {
  Axis,
  EncodedPrompts,
  InputCase,
  InputSizes,
  ModelSettings,
} from '../convert/networks/realistic.ts';
import { RequestError } from '../errors.ts';
import type { DeclaredDim, ModelBorders } from '../formats/runner.ts';
import { createRng } from '../random/random.ts';
import { sizesOf } from '../run/declared-inputs.ts';
import { optimumInputs } from '../run/tensor-names.ts';

/**
 * The sizes to run a model and its reference at: those that either declares, else those the network was trained on. All
 * that see text get two rows, as under classifier-free guidance. Throws `RequestError` when the two declare
 * different sizes.
 */
export function inputSizes(
  network: NetworkKind,
  { sampleSize = 64, textChannels }: ModelSettings,
  models: readonly ModelBorders[],
): InputSizes {
  const dimensions = optimumInputs(network);
  const declared: { -readonly [A in Axis]?: number } = {};
  for (const { path, inputs } of models) {
    for (const { name, dims } of inputs) {
      for (const [meaning, size] of sizesOf(dimensions, { name, dims })) {
        declared[meaning] ??= size;
        if (declared[meaning] !== size) throw otherSize(path, name, declared[meaning], size);
      }
    }
  }
  const { latentHeight = sampleSize, latentWidth = sampleSize } = declared;
  const sizes: InputSizes = {
    batch: [...dimensions.values()].some((axes) => axes.includes('tokens')) ? 2 : 1,
    tokens: CLIP_TOKENS,
    ...(textChannels !== undefined && { textChannels }),
    latentChannels: LATENT_CHANNELS,
    latentHeight,
    latentWidth,
    colours: 3,
    height: latentHeight * PIXELS,
    width: latentWidth * PIXELS,
    ...declared,
  };
  const takesResiduals = 'residuals' in cardOf(network).inputs;
  return takesResiduals ? { ...sizes, residuals: residualShapes(sizes, models) } : sizes;
}

/** The shapes of a UNet's residuals, as the last of the models declares them: of that it and its like are fed. */
function residualShapes(
  { batch, latentHeight, latentWidth }: InputSizes,
  models: readonly ModelBorders[],
): ReadonlyMap<string, readonly number[]> {
  const free = { batch_size: batch, height: latentHeight, width: latentWidth };
  const residuals = (models.at(-1)?.inputs ?? []).filter(({ name }) => name.includes('additional_residual'));
  return new Map(residuals.map(({ name, dims }) => [name, dims.map((dim) => boundSize(dim, free))]));
}

/** A declared size, where it is free (`height / 2`) for these sizes. Throws `RequestError` for a free size of another name. */
function boundSize(dim: DeclaredDim, free: Readonly<Record<string, number>>): number {
  if (typeof dim === 'number') return dim;
  const [, name = '', divisor = '1'] = /^(\w+)(?: \/ (\d+))?$/.exec(dim) ?? [];
  const size = free[name];
  if (size !== undefined) return size / Number(divisor);
  throw new RequestError({
    problem: `the size ${dim} of a ControlNet’s residuals is unknown.`,
    advice: 'Compare with recorded inputs and outputs (.safetensors).',
  });
}

const SEED = 93;

/**
 * Inputs such as a network meets in use at given sizes, and the same in every run. Those that attend to text take
 * `prompts` of their own size, and random numbers where there are none. Each of several `seeds` makes all cases anew. Throws
 * `RequestError` when nothing tells the text's channels.
 */
export function realisticCases(
  network: NetworkKind,
  sizes: InputSizes,
  settings: ModelSettings,
  prompts: EncodedPrompts = { hidden: [] },
  seeds = 1,
): InputCase[] {
  return Array.from({ length: seeds }, (_, index) => {
    const seed = SEED + index;
    const cases = cardOf(network).cases(createRng('numpy', seed), sizes, settings, prompts);
    return index === 0 ? cases : cases.map((each) => ({ ...each, name: `${each.name}, seed ${seed}` }));
  }).flat();
}

function otherSize(path: string, name: string, expected: number, found: number): RequestError {
  return new RequestError({
    problem: `the model and its reference take ${name} of different sizes.`,
    details: { model: String(expected), reference: `${found} (${path})` },
    advice: 'Compare with a reference of the same model, converted for the same size.',
  });
}
