import { RequestError } from '../../../errors.ts';
import { checkArguments, number, object } from '../../../io/check-call.ts';

/**
 * Options for shifting a rectified flow's noise schedule. Its share of noise, σ, falls from 1 to 0. Large pictures need
 * more steps at the noisy end, so σ is shifted towards 1 (Esser et al. 2024, equation 23): by a fixed factor, or by one
 * that grows with the picture (`use_dynamic_shifting`) and is given to `setTimesteps` as `mu`.
 */
export interface FlowShift {
  readonly use_dynamic_shifting: boolean;
  readonly time_shift_type: 'exponential' | 'linear';
  /** The fixed factor. */
  readonly shift: number;
  /** σ of the last step: if set, the schedule is stretched to end there. */
  readonly shift_terminal?: number | undefined;
}

/** Shifts shares of noise. Throws `RequestError` when the shift is dynamic and `mu` is not given. */
export function shiftFlow(
  { use_dynamic_shifting: dynamic, ...config }: FlowShift,
  shares: readonly number[],
  mu: number | undefined,
): number[] {
  const factor = dynamic ? dynamicFactor(config.time_shift_type, mu) : config.shift;
  // The same curve twice, rounded as in each of diffusers' formulas, because timesteps are truncated from it.
  const shifted = shares.map((share) =>
    dynamic ? factor / (factor + (1 / share - 1)) : (factor * share) / (1 + (factor - 1) * share),
  );
  if (!config.shift_terminal) return shifted;
  const stretch = (1 - (shifted.at(-1) ?? 0)) / (1 - config.shift_terminal);
  return shifted.map((share) => 1 - (1 - share) / stretch);
}

function dynamicFactor(type: 'exponential' | 'linear', mu: number | undefined): number {
  if (mu !== undefined) return type === 'exponential' ? Math.exp(mu) : mu;
  throw new RequestError({
    problem: 'The scheduler shifts its noise schedule by the size of the picture (mu), which was not given.',
    advice: 'Pass `{ mu }` to `setTimesteps`: dynamicShift(config, imageTokens).',
  });
}

/**
 * Computes `mu` for a picture of `imageTokens` tokens (latent height · width / 4 for most transformers), on a line through the
 * configuration's `base_shift` at `base_image_seq_len` and `max_shift` at `max_image_seq_len`; by default 0.5 at 256 and
 * 1.15 at 4096.
 */
export function dynamicShift(config: Readonly<Record<string, unknown>>, imageTokens: number): number {
  checkArguments('dynamicShift', { config: [config, object], imageTokens: [imageTokens, number] });
  const setting = (key: string, fallback: number): number => {
    const value = config[key];
    return typeof value === 'number' ? value : fallback;
  };
  const [low, high] = [setting('base_shift', 0.5), setting('max_shift', 1.15)];
  const [few, many] = [setting('base_image_seq_len', 256), setting('max_image_seq_len', 4096)];
  return low + ((high - low) / (many - few)) * (imageTokens - few);
}
