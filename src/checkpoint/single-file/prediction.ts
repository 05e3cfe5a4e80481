import { basename } from 'node:path';
import { readTensor } from '../../weights/tensor-data.ts';
import type { WeightFile } from '../../weights/tensors-of-file.ts';
import type { Weight } from '../../weights/weight.ts';
import type { Family, UNetKind } from '../family.ts';

/** diffusers' prediction types that UNets are trained for. */
export type PredictionType = 'epsilon' | 'v_prediction';

/** Prediction and noise schedule that a UNet was trained for; they determine the scheduler. */
export interface Prediction {
  readonly type: PredictionType;
  /** Whether its noise schedule ends at zero SNR (Lin et al. 2023). */
  readonly zeroSnr: boolean;
  /** Another schedule: that of EDM (Karras et al. 2022), or of a UNet distilled for very few steps (SD-Turbo). */
  readonly schedule?: 'edm' | 'turbo';
  /** Note on how it was determined, where that is not obvious. */
  readonly note?: string;
}

const epsilon: Prediction = { type: 'epsilon', zeroSnr: false };

/** What is known of a file's UNet. */
export interface PredictionContext {
  readonly family: Family;
  readonly kind: UNetKind | undefined;
  /** Its weights in diffusers' names. */
  readonly unet: ReadonlyMap<string, Weight> | undefined;
  /** Prediction type that the user gave. */
  readonly given?: PredictionType | undefined;
  /** Facts of the YAML beside the file, and its name. */
  readonly configured?:
    | { readonly prediction: PredictionType | undefined; readonly zeroSnr: boolean; readonly file: string }
    | undefined;
}

/**
 * Determines what a single file's UNet predicts, which shapes do not show. In this order count: the user's choice; the
 * file (empty tensors named `v_pred` and `ztsnr`, modelspec metadata); the YAML beside it; and the signs that ComfyUI
 * and diffusers use: tensor names of Playground's and SD-Turbo's files, and in 2.x a bias, which varies more where v is
 * predicted.
 */
export async function predictionOf(file: WeightFile, context: PredictionContext): Promise<Prediction> {
  const { given, configured } = context;
  const marked = statedIn(file);
  // What the UNet predicts leaves its noise schedule as it is.
  if (given)
    return {
      ...scheduleOf(file, context),
      type: given,
      zeroSnr: given === 'v_prediction' && (marked?.zeroSnr ?? false),
      note: `The UNet predicts ${predictionTitles[given]}, as requested.`,
    };
  if (marked) return marked;
  if (configured?.prediction) {
    const { prediction: type, zeroSnr, file: name } = configured;
    const isExpected = type === 'epsilon' && context.family !== 'sd2';
    const said = { note: `${name} says that the UNet predicts ${predictionTitles[type]}.` };
    return { type, zeroSnr: zeroSnr && type === 'v_prediction', ...(isExpected ? {} : said) };
  }
  return guessed(file, context);
}

/** Name of each prediction type in a sentence. */
export const predictionTitles: { readonly [T in PredictionType]: string } = {
  epsilon: 'noise',
  v_prediction: 'v',
};

/** Prediction that the file itself states; without a note for the usual one, epsilon. */
function statedIn({ metadata, weights }: WeightFile): Prediction | undefined {
  if (weights.has('v_pred')) {
    const zeroSnr = weights.has('ztsnr');
    return {
      type: 'v_prediction',
      zeroSnr,
      note: `The file says that its UNet predicts v${zeroSnr ? ' and that its noise schedule ends at zero signal' : ''}: the scheduler is set accordingly.`,
    };
  }
  const stated = metadata['modelspec.prediction_type'] ?? metadata['modelspec.architecture'] ?? '';
  if (/^v(_prediction)?$|768-v/.test(stated))
    return {
      type: 'v_prediction',
      zeroSnr: false,
      note: `The file's metadata says that its UNet predicts v (${stated}).`,
    };
  return /^eps|v2-512/.test(stated) ? epsilon : undefined;
}

/** Noise schedules that names of tensors show. */
function scheduleOf(
  { weights }: WeightFile,
  { family, kind }: PredictionContext,
): Required<Pick<Prediction, 'schedule' | 'note'>> | undefined {
  const names = [...weights.keys()];
  if (names.some((name) => /^edm_(mean|std)$/.test(name)))
    return { schedule: 'edm', note: 'The file is Playground v2.5, which uses an EDM scheduler.' };
  // Only SD-Turbo was published with SGM's names and a UNet of 2.x.
  const isTurbo = family === 'sd2' && kind === 'base' && names.some((name) => name.startsWith(SGM_TEXT));
  if (!isTurbo) return undefined;
  return { schedule: 'turbo', note: 'The file has the names of SD-Turbo, which predicts noise.' };
}

const SGM_TEXT = 'conditioner.embedders.0.model.';

async function guessed(file: WeightFile, context: PredictionContext): Promise<Prediction> {
  const { family, kind, unet } = context;
  const scheduled = scheduleOf(file, context);
  if (scheduled) return { ...epsilon, ...scheduled };
  if (family !== 'sd2' || kind !== 'base') return epsilon;
  const bias = unet?.get(TESTED_BIAS);
  const deviation = bias ? deviationOf((await readTensor(bias, 'f32')).data) : 0;
  if (deviation > 0) return byDeviation(deviation);
  if (/(?<!\d)512(?!\d)/.test(basename(file.path)))
    return {
      ...epsilon,
      note: 'The UNet of 2.x is assumed to predict noise, since the file name contains 512.',
    };
  return {
    type: 'v_prediction',
    zeroSnr: false,
    note: 'Files of Stable Diffusion 2.x for 768 pixels (which predict v) and for 512 (which predict noise) have the same shapes: this one is assumed to predict v, as in diffusers. If pictures come out as noise, give --prediction-type epsilon.',
  };
}

/** The bias that ComfyUI tests, and the deviation above which v is predicted (comfy/supported_models.py, SD20). */
const TESTED_BIAS = 'up_blocks.3.attentions.2.transformer_blocks.0.norm1.bias';
const V_DEVIATION = 0.09;

function byDeviation(deviation: number): Prediction {
  const type = deviation > V_DEVIATION ? 'v_prediction' : 'epsilon';
  const other = type === 'epsilon' ? 'v_prediction' : 'epsilon';
  const found = `the bias that ComfyUI tests has a deviation of ${deviation.toFixed(3)}`;
  return {
    type,
    zeroSnr: false,
    note: `The UNet of 2.x is assumed to predict ${predictionTitles[type]}: ${found}, and above ${V_DEVIATION} v is likely. If pictures come out as noise, give --prediction-type ${other}.`,
  };
}

/** Standard deviation with Bessel's correction, as torch computes it. */
function deviationOf(values: Float32Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return Math.sqrt(squares / Math.max(1, values.length - 1));
}
