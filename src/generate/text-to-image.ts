import { type Context, throwIfInterrupted } from '../context.ts';
import type { LatentScale } from '../convert/networks/vae-variants.ts';
import { RequestError } from '../errors.ts';
import type { Runner, TensorMap } from '../formats/runner.ts';
import { findSynonym } from '../run/tensor-names.ts';
import type { TensorData } from '../weights/tensor-data.ts';
import { convertTensor } from '../weights/tensor-values.ts';
import type { Scheduler } from './schedulers/scheduler.ts';
import { type Beginning, timestepsLeft } from './start-from-image.ts';

/**
 * The stages of diffusers' StableDiffusionPipeline, each running one network. Networks must have optimum's tensor names,
 * as those from `openNetwork` do.
 */

/** Encodes tokenized prompts into hidden states [rows,77,C]. */
export async function encodePrompts(
  textEncoder: Runner,
  rows: readonly (readonly number[])[],
): Promise<TensorData<'f32'>> {
  return float32(await runEncoder(textEncoder, rows), 'last_hidden_state', textEncoder);
}

/** Runs a text encoder on tokenized prompts. */
export async function runEncoder(
  textEncoder: Runner,
  rows: readonly (readonly number[])[],
): Promise<TensorMap> {
  const shape = [rows.length, rows[0]?.length ?? 0];
  const data = BigInt64Array.from(rows.flat(), BigInt);
  return textEncoder.run(new Map([['input_ids', { dtype: 'i64', shape, data }]]));
}

/** Inputs of the denoising loop. */
export interface DenoiseRequest {
  /** Standard normal numbers [1,C,h,w]. */
  readonly noise: TensorData<'f32'>;
  /** Hidden states of negative prompt and prompt, [2,77,C]; with a guidance scale of 1 or less only the prompt's, [1,77,C]. */
  readonly hiddenStates: TensorData<'f32'>;
  /** More inputs of the UNet with the same number of rows: Stable Diffusion XL's `text_embeds` and `time_ids`. */
  readonly added?: TensorMap;
  /** Scale of classifier-free guidance (Ho & Salimans 2022, eq. 6). */
  readonly guidanceScale: number;
  readonly steps: number;
  /** Picture to start from; pure noise when left out. */
  readonly beginning?: Beginning | undefined;
  /** Draws standard normal numbers, for schedulers that add noise. */
  readonly normal: (count: number) => Float32Array;
}

/** Denoises to latents [1,C,h,w] in `steps` steps (PNDM takes one more). `onStep` gets the latents after each step. */
export async function denoise(
  unet: Runner,
  scheduler: Scheduler,
  request: DenoiseRequest,
  context: Context,
  onStep: (latents: Float32Array) => void = () => {},
): Promise<TensorData<'f32'>> {
  const { noise, hiddenStates, added = new Map(), guidanceScale, steps, beginning } = request;
  const rows = hiddenStates.shape[0] ?? 1;
  const shape = [rows, ...noise.shape.slice(1)];
  scheduler.setTimesteps(steps);

  const timesteps = beginning ? timestepsLeft(scheduler, steps, beginning.strength) : scheduler.timesteps;
  let latents: Float32Array = beginning
    ? scheduler.addNoise(beginning.latents.data, noise.data, timesteps[0] ?? 0)
    : noise.data.map((value) => value * scheduler.initNoiseSigma);
  for (const [step, timestep] of timesteps.entries()) {
    throwIfInterrupted(context.signal);
    context.onProgress?.({
      type: 'progress',
      stage: 'denoise',
      what: `step ${step + 1} of ${timesteps.length}`,
      done: step,
      total: timesteps.length,
    });
    const sample = repeat(scheduler.scaleModelInput(latents, timestep), rows);
    const outputs = await unet.run(
      new Map<string, TensorData>([
        ['sample', { dtype: 'f32', shape, data: sample }],
        ['timestep', { dtype: 'f32', shape: [], data: Float32Array.of(timestep) }],
        ['encoder_hidden_states', hiddenStates],
        ...added,
      ]),
    );
    const predicted = float32(outputs, 'out_sample', unet).data;
    const noisePrediction = rows === 1 ? predicted : guide(predicted, guidanceScale);
    latents = scheduler.step(noisePrediction, timestep, latents, { noise: request.normal });
    onStep(latents);
  }
  return { dtype: 'f32', shape: noise.shape, data: latents };
}

/** Decodes latents [1,C,h,w] to a picture [1,3,8h,8w] in −1…1 (and a little beyond). */
export async function decodeLatents(
  vaeDecoder: Runner,
  latents: TensorData<'f32'>,
  { factor, shift }: LatentScale,
): Promise<TensorData<'f32'>> {
  const scaled = {
    dtype: 'f32',
    shape: latents.shape,
    data: latents.data.map((value) => value / factor + shift),
  } as const;
  return float32(await vaeDecoder.run(new Map([['latent_sample', scaled]])), 'sample', vaeDecoder);
}

/** Applies classifier-free guidance to two rows [uncond, text]: uncond + scale·(text − uncond). */
function guide(rows: Float32Array, scale: number): Float32Array {
  const half = rows.length / 2;
  return Float32Array.from({ length: half }, (_, i) => {
    const uncond = rows[i] ?? 0;
    return uncond + Math.fround(scale * Math.fround((rows[half + i] ?? 0) - uncond));
  });
}

function repeat(data: Float32Array, times: number): Float32Array {
  const repeated = new Float32Array(data.length * times);
  for (let row = 0; row < times; row++) repeated.set(data, row * data.length);
  return repeated;
}

/** Finds an output by optimum's name and converts it to float32. Throws `RequestError` when it is missing. */
export function float32(outputs: TensorMap, name: string, { path }: Pick<Runner, 'path'>): TensorData<'f32'> {
  const names = [...outputs.keys()];
  const tensor = outputs.get(findSynonym('outputs', name, [name], names) ?? '');
  const converted = tensor && convertTensor(name, tensor, 'f32');
  if (converted?.dtype === 'f32') return converted;
  throw new RequestError({
    problem: `${path} has no output called ${name}.`,
    details: { 'it has': names.join(', ') },
    advice: 'Name a folder that sdconvert wrote.',
  });
}
