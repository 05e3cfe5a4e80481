import { basename } from 'node:path';
import type { WeightFile } from '../../weights/tensors-of-file.ts';
import type { Family, UNetKind } from '../family.ts';

/** What a UNet was trained to predict: which scheduler fits it. */
export interface Prediction {
  readonly type: 'epsilon' | 'v_prediction';
  /** Whether the last step of its noise schedule is noise alone (Lin et al. 2023). */
  readonly zeroSnr: boolean;
  /** How it is known, where the file says nothing or something unusual. */
  readonly note?: string;
}

const epsilon: Prediction = { type: 'epsilon', zeroSnr: false };

/**
 * What a single file's UNet predicts. Shapes do not show it: the file's metadata may say it (modelspec), or empty tensors
 * named `v_pred` and `ztsnr`; files of 2.x of 512 and of 768 pixels look alike, and are told by their name, or taken for
 * 768 as diffusers does.
 */
export function predictionOf(
  { path, metadata, weights }: Pick<WeightFile, 'path' | 'metadata' | 'weights'>,
  family: Family,
  kind: UNetKind | undefined,
): Prediction {
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
  if (family !== 'sd2' || kind !== 'base' || /^eps|v2-512/.test(stated)) return epsilon;
  if (/(?<!\d)512(?!\d)/.test(basename(path)))
    return {
      ...epsilon,
      note: 'Files of Stable Diffusion 2.x for 512 pixels (which predict noise) and for 768 (which predict v) look alike: by the 512 in its name it is taken for the first.',
    };
  return {
    type: 'v_prediction',
    zeroSnr: false,
    note: 'Files of Stable Diffusion 2.x for 768 pixels (which predict v) and for 512 (which predict noise) look alike: it is taken for the first, as diffusers does. If pictures come out as noise, put 512 into its name.',
  };
}
