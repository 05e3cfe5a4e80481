import { RequestError } from '../../errors.ts';
import type { Rng } from '../../random/rng.ts';
import { elementCount } from '../../weights/dtype.ts';
import type { TensorData } from '../../weights/tensor-data.ts';
import { type EncodedPrompts, type InputCase, type InputSizes, latents, normal } from './realistic.ts';

/** The first, a middle and the last step of a schedule. */
const TIMESTEPS = [981, 501, 1];

/** Realistic inputs of a UNet or ControlNet at several timesteps; `more` makes the inputs that the others lack. */
export function denoiserCases(
  rng: Rng,
  sizes: InputSizes,
  prompts: EncodedPrompts,
  more: () => [string, TensorData][] = () => [],
): InputCase[] {
  const conditions = [...conditionsOf(rng, sizes, prompts), ...more()];
  return TIMESTEPS.map((timestep) => ({
    name: `timestep ${timestep}`,
    tensors: new Map<string, TensorData>([
      ['sample', latents(rng, sizes, 1)],
      ['timestep', { dtype: 'f32', shape: [], data: Float32Array.of(timestep) }],
      ...conditions,
    ]),
  }));
}

/** Conditions of the denoising: text, and whatever else the network takes. */
function conditionsOf(
  rng: Rng,
  sizes: InputSizes,
  { hidden, pooled }: EncodedPrompts,
): [string, TensorData][] {
  const { batch, tokens, pooledChannels, timeIds, guidanceChannels } = sizes;
  const { textChannels = hidden[0]?.shape[2] } = sizes;
  if (textChannels === undefined) throw unknownTextChannels();
  const conditions: [string, TensorData][] = [
    ['encoder_hidden_states', rowsOf(rng, [batch, tokens, textChannels], hidden)],
  ];
  if (pooledChannels !== undefined)
    conditions.push(['text_embeds', rowsOf(rng, [batch, pooledChannels], pooled ? [pooled] : [])]);
  if (timeIds !== undefined) conditions.push(['time_ids', timeIdsOf(sizes, timeIds)]);
  if (guidanceChannels !== undefined)
    conditions.push(['timestep_cond', guidanceEmbedding(batch, guidanceChannels)]);
  return conditions;
}

/** Fills `shape` with the rows of the first of `tensors` whose rows fit it, in turn; with random numbers if none fits. */
function rowsOf(rng: Rng, shape: readonly number[], tensors: readonly TensorData[]): TensorData {
  const found = tensors.find(
    (each) => each.dtype === 'f32' && each.shape.slice(1).join() === shape.slice(1).join(),
  );
  if (!found) return normal(rng, shape, 1);
  const data = Float32Array.from(
    { length: elementCount(shape) },
    (_, i) => Number(found.data[i % found.data.length]), // of float32
  );
  return { dtype: 'f32', shape, data };
}

/**
 * SDXL's time_ids: original size, crop offset, target size; for a refiner an aesthetic score instead of the target
 * size.
 */
function timeIdsOf({ batch, height, width }: InputSizes, count: number): TensorData {
  const rows = Array.from({ length: batch }, (_, row) =>
    [height, width, 0, 0, ...(count === 5 ? [row % 2 === 0 ? 2.5 : 6] : [height, width])].slice(0, count),
  );
  return { dtype: 'f32', shape: [batch, count], data: Float32Array.from(rows.flat()) };
}

/**
 * Embedding of a guidance scale of 7.5, for LCM (LatentConsistencyModelPipeline.get_guidance_scale_embedding in
 * diffusers).
 */
function guidanceEmbedding(batch: number, channels: number): TensorData {
  const half = Math.floor(channels / 2);
  const angles = Array.from({ length: half }, (_, i) => 6500 * Math.exp((-Math.log(10000) * i) / (half - 1)));
  const row = [...angles.map(Math.sin), ...angles.map(Math.cos), ...(channels % 2 === 0 ? [] : [0])];
  const rows = Array.from({ length: batch }, () => row);
  return { dtype: 'f32', shape: [batch, channels], data: Float32Array.from(rows.flat()) };
}

function unknownTextChannels(): RequestError {
  return new RequestError({
    problem: 'the number of channels of encoder_hidden_states is unknown for this UNet.',
    advice:
      "Compare with recorded inputs and outputs (.safetensors), or put the UNet's config.json beside it.",
  });
}
