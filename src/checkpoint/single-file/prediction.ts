import { basename } from 'node:path';
import { readTensor } from '../../weights/tensor-data.ts';
import type { WeightFile } from '../../weights/tensors-of-file.ts';
import type { Weight } from '../../weights/weight.ts';
import type { Family, UNetKind } from '../family.ts';

/** What UNets are trained to predict. */
export type PredictionType = 'epsilon' | 'v_prediction';

/** What a UNet was trained to predict: which scheduler fits it. */
export interface Prediction {
  readonly type: PredictionType;
  /** Whether the last step of its noise schedule is noise alone (Lin et al. 2023). */
  readonly zeroSnr: boolean;
  /** Whether it was trained for another schedule: of Karras et al. 2022 (EDM), or distilled for very few steps (SD-Turbo). */
  readonly schedule?: 'edm' | 'turbo';
  /** How it is known, where the file says nothing or something unusual. */
  readonly note?: string;
}

const epsilon: Prediction = { type: 'epsilon', zeroSnr: false };

/** What is known of a file's UNet beside its own names. */
export interface PredictionContext {
  readonly family: Family;
  readonly kind: UNetKind | undefined;
  /** In diffusers' names. */
  readonly unet: ReadonlyMap<string, Weight> | undefined;
  /** What the user says. */
  readonly given?: PredictionType | undefined;
  /** What a configuration beside the file says, and its name. */
  readonly configured?:
    | { readonly prediction: PredictionType | undefined; readonly zeroSnr: boolean; readonly file: string }
    | undefined;
}

/**
 * What a single file's UNet predicts. Shapes do not show it. What the user says counts first, then what lies in the file
 * (empty tensors named `v_pred` and `ztsnr`, the metadata of modelspec), then a configuration beside it, then the marks by
 * which ComfyUI and diffusers tell it: the names of Playground's and SD-Turbo's files, and in 2.x a bias that is wide where
 * v is predicted.
 */
export async function predictionOf(file: WeightFile, context: PredictionContext): Promise<Prediction> {
  const { given, configured } = context;
  const marked = statedIn(file);
  if (given)
    return {
      ...marked,
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

/** What is predicted, in a sentence. */
export const predictionTitles: { readonly [T in PredictionType]: string } = {
  epsilon: 'noise',
  v_prediction: 'v',
};

/** What a file says itself; without a note where it is what everybody expects. */
function statedIn({ metadata, weights }: WeightFile): Prediction | undefined {
  if (weights.has('v_pred')) {
    const zeroSnr = weights.has('ztsnr');
    return {
      type: 'v_prediction',
      zeroSnr,
      note: `The file says that its UNet predicts v${zeroSnr ? ' and that its noise schedule ends at zero signal' : ''}: the scheduler is set so.`,
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

async function guessed(
  { path, weights }: WeightFile,
  { family, kind, unet }: PredictionContext,
): Promise<Prediction> {
  const names = [...weights.keys()];
  if (names.some((name) => /^edm_(mean|std)$/.test(name)))
    return {
      ...epsilon,
      schedule: 'edm',
      note: 'The file is Playground v2.5: its scheduler is that of EDM.',
    };
  if (family !== 'sd2' || kind !== 'base') return epsilon;
  // SGM's names with a UNet of 2.x: nothing else was published so.
  if (names.some((name) => name.startsWith('conditioner.embedders.0.model.')))
    return {
      ...epsilon,
      schedule: 'turbo',
      note: 'The file has the names of SD-Turbo, which predicts noise.',
    };
  const bias = unet?.get(MARK);
  const deviation = bias ? deviationOf((await readTensor(bias, 'f32')).data) : 0;
  if (deviation > 0) return byDeviation(deviation);
  if (/(?<!\d)512(?!\d)/.test(basename(path)))
    return {
      ...epsilon,
      note: 'The UNet of 2.x is taken to predict noise, by the 512 in the name of the file.',
    };
  return {
    type: 'v_prediction',
    zeroSnr: false,
    note: 'Files of Stable Diffusion 2.x for 768 pixels (which predict v) and for 512 (which predict noise) look alike: it is taken for the first, as diffusers does. If pictures come out as noise, give --prediction-type epsilon.',
  };
}

/** ComfyUI's mark (comfy/supported_models.py, SD20). */
const MARK = 'up_blocks.3.attentions.2.transformer_blocks.0.norm1.bias';
const WIDE = 0.09;

function byDeviation(deviation: number): Prediction {
  const type = deviation > WIDE ? 'v_prediction' : 'epsilon';
  const other = type === 'epsilon' ? 'v_prediction' : 'epsilon';
  const found = `a bias by which ComfyUI tells them varies by ${deviation.toFixed(3)}`;
  return {
    type,
    zeroSnr: false,
    note: `The UNet of 2.x is taken to predict ${predictionTitles[type]}: ${found}, and from ${WIDE} on v is likely. If pictures come out as noise, give --prediction-type ${other}.`,
  };
}

/** The standard deviation, as torch computes it. */
function deviationOf(values: Float32Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return Math.sqrt(squares / Math.max(1, values.length - 1));
}
