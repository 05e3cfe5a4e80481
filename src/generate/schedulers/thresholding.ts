/** diffusers' options that bound the predicted picture. */
export interface PictureBounds {
  readonly thresholding: boolean;
  readonly dynamic_thresholding_ratio: number;
  readonly sample_max_value: number;
  readonly clip_sample?: boolean;
  readonly clip_sample_range?: number;
}

/**
 * Bounds the predicted picture as the configuration asks. Dynamic thresholding clips absolute values at the quantile
 * `dynamic_thresholding_ratio` (at least 1, at most `sample_max_value`) and divides by it, so that the result is in −1…1
 * (Saharia et al. 2022, section 2.3); `picture` is one picture, not a batch.
 */
export function boundPicture(bounds: PictureBounds, picture: Float32Array): Float32Array {
  if (bounds.thresholding) {
    const { dynamic_thresholding_ratio: share, sample_max_value: most } = bounds;
    const limit = Math.min(Math.max(quantile(picture.map(Math.abs), share), 1), most);
    return picture.map((value) => clamp(value, limit) / limit);
  }
  const { clip_sample: clip, clip_sample_range: range = 1 } = bounds;
  return clip ? picture.map((value) => clamp(value, range)) : picture;
}

function clamp(value: number, limit: number): number {
  return Math.min(Math.max(value, -limit), limit);
}

/** Quantile at `share`, interpolated linearly between its neighbours. */
function quantile(values: Float32Array, share: number): number {
  const sorted = values.toSorted();
  const rank = share * (sorted.length - 1);
  const below = Math.floor(rank);
  const [low = 0, high = low] = sorted.subarray(below, below + 2);
  return low + (rank - below) * (high - low);
}
