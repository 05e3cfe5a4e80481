import { RequestError } from '../../errors.ts';
import type { Rng } from '../../random/rng.ts';
import { elementCount } from '../../weights/dtype.ts';
import type { TensorData } from '../../weights/tensor-data.ts';
import { type EncodedPrompts, type InputCase, type InputSizes, latents, normal } from './realistic.ts';

/** From the first step of a schedule to its last. */
const TIMESTEPS = [981, 501, 1];

/** Realistic inputs of a UNet or ControlNet at some timesteps; `more` are its own beside what all of them read. */
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

/** What steers the denoising of latents: text, and what else the network takes. */
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

/** The rows of the first of `tensors` whose rows are of this shape, in turn; random numbers if there is none. */
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

/** SDXL's sizes: original, where it was cropped, wanted; a refiner has instead of the last how beautiful it is to be. */
function timeIdsOf({ batch, height, width }: InputSizes, count: number): TensorData {
  const rows = Array.from({ length: batch }, (_, row) =>
    [height, width, 0, 0, ...(count === 5 ? [row % 2 === 0 ? 2.5 : 6] : [height, width])].slice(0, count),
  );
  return { dtype: 'f32', shape: [batch, count], data: Float32Array.from(rows.flat()) };
}

/** A guidance scale of 7.5 as LCM is told it (LatentConsistencyModelPipeline.get_guidance_scale_embedding in diffusers). */
function guidanceEmbedding(batch: number, channels: number): TensorData {
  const half = Math.floor(channels / 2);
  const angles = Array.from({ length: half }, (_, i) => 6500 * Math.exp((-Math.log(10000) * i) / (half - 1)));
  const row = [...angles.map(Math.sin), ...angles.map(Math.cos), ...(channels % 2 === 0 ? [] : [0])];
  const rows = Array.from({ length: batch }, () => row);
  return { dtype: 'f32', shape: [batch, channels], data: Float32Array.from(rows.flat()) };
}

function unknownTextChannels(): RequestError {
  return new RequestError({
    problem: 'nothing says how many channels the encoder_hidden_states of this UNet have.',
    advice:
      'Compare with recorded inputs and outputs (.safetensors), or put the config.json of the UNet beside it.',
  });
}
