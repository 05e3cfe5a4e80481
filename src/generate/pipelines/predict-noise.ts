import type { Runner, TensorMap } from '../../formats/runner.ts';
import { checkArguments } from '../../io/check-call.ts';
import { isFloat } from '../../weights/dtype.ts';
import type { TensorData } from '../../weights/tensor-data.ts';
import { predictor } from '../call-schemas.ts';
import { float32 } from '../run-networks.ts';
import type { Guidance } from './guidance.ts';

/** Conditioning inputs of a UNet, one row per prompt. */
export interface Conditioning {
  /** [rows,S,C]: 77 tokens, or with long prompts a multiple. */
  readonly hiddenStates: TensorData<'f32'>;
  /** More inputs with the same number of rows: Stable Diffusion XL's `text_embeds` and `time_ids`, LCM's `timestep_cond`. */
  readonly added?: TensorMap;
}

/** Predicts the noise in scaled latents [1,C,h,w] (or what else the model predicts); `step` counts from 0. */
export type NoisePredictor = (
  sample: TensorData<'f32'>,
  timestep: number,
  step: number,
) => Promise<Float32Array>;

/** A UNet and its fixed inputs. */
export interface PredictorRequest {
  readonly unet: Runner;
  readonly conditioning: Conditioning;
  readonly guidance: Guidance;
  /** Input channels after those of the latents, [rows,C,h,w]: a mask, a picture. */
  readonly extra?: TensorData<'f32'> | undefined;
  /** Computes the residuals of ControlNets from the UNet's inputs. */
  readonly residuals?: ((feeds: TensorMap, step: number) => Promise<TensorMap>) | undefined;
}

/**
 * Runs a UNet with guidance, all rows in one batch if it takes that many, else in several. Fractional timesteps are rounded for
 * a UNet that takes whole numbers, as the clients that want it so do.
 */
export function noisePredictor(request: PredictorRequest): NoisePredictor {
  checkArguments('noisePredictor', { request: [request, predictor] });
  const { unet, conditioning, guidance, extra, residuals } = request;
  const { length: rows } = guidance.rows;
  const hasWholeTimesteps = unet.inputs.some(({ name, dtype }) => name === 'timestep' && !isFloat(dtype));
  return async (sample, exactTimestep, step) => {
    const timestep = hasWholeTimesteps ? Math.round(exactTimestep) : exactTimestep;
    const feeds = new Map<string, TensorData>([
      ['sample', repeatRows(sample, rows)],
      ['timestep', { dtype: 'f32', shape: [], data: Float32Array.of(timestep) }],
      ['encoder_hidden_states', conditioning.hiddenStates],
      ...(conditioning.added ?? []),
    ]);
    const controlled = (await residuals?.(feeds, step)) ?? new Map();
    if (extra) feeds.set('sample', addChannels(repeatRows(sample, rows), extra));
    const outputs = await unet.run(new Map([...feeds, ...controlled]));
    return guidance.combine(rowsOf(float32(outputs, 'out_sample', unet)));
  };
}

/** Repeats a row: [1,…] to [rows,…]. */
export function repeatRows({ shape, data }: TensorData<'f32'>, rows: number): TensorData<'f32'> {
  const repeated = new Float32Array(data.length * rows);
  for (let row = 0; row < rows; row++) repeated.set(data, row * data.length);
  return { dtype: 'f32', shape: [rows, ...shape.slice(1)], data: repeated };
}

/** Concatenates channels: [B,C,h,w] and [B,D,h,w] to [B,C+D,h,w]. */
export function addChannels(a: TensorData<'f32'>, b: TensorData<'f32'>): TensorData<'f32'> {
  const [rows = 1, channels = 0, ...size] = a.shape;
  const [firsts, seconds] = [rowsOf(a), rowsOf(b)];
  const data = new Float32Array(a.data.length + b.data.length);
  let filled = 0;
  for (const row of firsts.flatMap((first, i) => [first, seconds[i] ?? new Float32Array()])) {
    data.set(row, filled);
    filled += row.length;
  }
  return { dtype: 'f32', shape: [rows, channels + (b.shape[1] ?? 0), ...size], data };
}

/** Splits a tensor into its rows: views, not copies. */
function rowsOf({ shape: [rows = 1], data }: TensorData<'f32'>): Float32Array[] {
  const size = data.length / rows;
  return Array.from({ length: rows }, (_, row) => data.subarray(row * size, (row + 1) * size));
}
