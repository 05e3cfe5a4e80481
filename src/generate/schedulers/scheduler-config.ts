import { z } from 'zod';

/** Pieces of diffusers' scheduler configurations. Their error texts say what is expected, for `ConfigError`. */

/** The noise of the training; the defaults are diffusers' own. */
export const trainingNoise = {
  num_train_timesteps: z.int().min(2).default(1000),
  beta_start: z.number().default(0.0001),
  beta_end: z.number().default(0.02),
  beta_schedule: z.enum(['linear', 'scaled_linear', 'squaredcos_cap_v2']).default('linear'),
  trained_betas: z.array(z.number()).optional(),
};

export const timestepSpacing = z.enum(['linspace', 'leading', 'trailing']);
export const predictionType = z.enum(['epsilon', 'v_prediction', 'sample']);
export const finalSigmas = z.enum(['zero', 'sigma_min']).default('zero');
export const flag = z.boolean();

/** An option of diffusers that is not implemented here, so it has to be off. */
export const off = z.literal(false, 'false').default(false);
/** An option of diffusers that is not implemented here, so it has to be absent or null. */
export const unset = z.never('nothing').optional();
/** A number or text that says how an option works which is off. */
export const inert = z.unknown().optional();

/** What comes with dynamic thresholding. */
export const thresholding = { thresholding: off, dynamic_thresholding_ratio: inert, sample_max_value: inert };
/** What comes with flow matching, and spacings of noise that are not implemented. */
export const otherSpacings = {
  use_beta_sigmas: off,
  use_flow_sigmas: off,
  use_dynamic_shifting: off,
  flow_shift: inert,
  time_shift_type: inert,
};
