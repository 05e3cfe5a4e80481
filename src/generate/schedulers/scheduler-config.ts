import { z } from 'zod';
import { shortList } from '../../io/short-list.ts';

/**
 * Parts of the schemas of diffusers' scheduler configurations. Every number has a range, because a configuration may come
 * from anywhere and its numbers become array sizes. The messages of the checks say what is expected, for `ConfigError`.
 */

/** A whole number from `min` to `max`. */
export function whole(min: number, max: number): z.ZodNumber {
  const expected = `a whole number from ${min} to ${max}`;
  return z.int(expected).min(min, expected).max(max, expected);
}

/** A number from `min` to `max`. */
export function between(min: number, max: number): z.ZodNumber {
  const expected = `a number from ${min} to ${max}`;
  return z.number(expected).min(min, expected).max(max, expected);
}

/** Less than any model has, and still a number when it is divided by, squared, in float32. */
const LEAST = 1e-6;

/** A number above 0 that computing does not round to 0, up to `max`. */
export function positive(max: number): z.ZodNumber {
  return between(LEAST, max);
}

/** Upper limit of `num_train_timesteps`; diffusers' models have 1,000. */
const MAX_TRAIN_STEPS = 100_000;

/** Number of training timesteps, which is also the largest number of inference steps. */
export const trainSteps = whole(2, MAX_TRAIN_STEPS).default(1000);

const beta = z.number('a number between 0 and 1').gt(0, 'a number above 0').lt(1, 'a number below 1');

/** Looked at by one check: each wrong number of so many would cost an error. */
const betas = shortList(z.unknown(), { most: MAX_TRAIN_STEPS })
  .refine((list) => list.every((each) => beta.safeParse(each).success), 'numbers above 0 and below 1')
  .transform((list) => list.map(Number));

/** Beta schedules that every class supports. */
export const betaSchedule = z.enum(['linear', 'scaled_linear', 'squaredcos_cap_v2']);

/** Noise schedule of the training, with diffusers' defaults. */
export const trainingNoise = {
  num_train_timesteps: trainSteps,
  beta_start: beta.default(0.0001),
  beta_end: beta.default(0.02),
  beta_schedule: betaSchedule.default('linear'),
  trained_betas: betas.optional(),
};

/** The same with Stable Diffusion's betas, the defaults of newer classes. */
export const stableDiffusionNoise = {
  ...trainingNoise,
  beta_start: beta.default(0.00085),
  beta_end: beta.default(0.012),
};

export const timestepSpacing = z.enum(['linspace', 'leading', 'trailing']);
export const stepsOffset = whole(0, 100).default(0);
export const predictionType = z.enum(['epsilon', 'v_prediction', 'sample']);
/** For classes that do not support `sample`. */
export const noisePrediction = z.enum(['epsilon', 'v_prediction']).default('epsilon');
/** For classes that support rectified flows. */
export const anyPrediction = z
  .enum(['epsilon', 'v_prediction', 'sample', 'flow_prediction'])
  .default('epsilon');
export const finalSigmas = z.enum(['zero', 'sigma_min']).default('zero');
/** As in Python, what is null is off, whatever is the default of what is not there. */
export const flag = z
  .boolean()
  .nullable()
  .transform((isOn) => isOn ?? false);
export const solverOrder = z.union([z.literal(1), z.literal(2), z.literal(3)], 'one of 1, 2, 3').default(2);

/** An option that is not implemented: it must be absent or null. */
export const unset = z.never('nothing').optional();
/** An option without effect. */
export const inert = z.unknown().optional();

/** Dynamic thresholding of the predicted picture (`thresholding.ts`). */
export const thresholding = {
  thresholding: flag.default(false),
  dynamic_thresholding_ratio: between(0, 1).default(0.995),
  sample_max_value: between(1, 1e6).default(1),
};

/** Range for clipping the predicted picture; whether to clip by default depends on the class. */
export const clipRange = { clip_sample_range: positive(1e6).default(1) };

/**
 * An option whose values differ between classes. When a configuration comes from another class, diffusers accepts that
 * class's values (`carried`) and reads them as `meant`.
 */
export function wordOf<const Own extends string>(
  own: readonly Own[],
  carried: readonly string[],
  meant: Own,
) {
  const expected = `one of ${own.map((word) => `"${word}"`).join(', ')}`;
  return z
    .unknown()
    .optional()
    .transform((word, context): Own => {
      const found = own.find((each) => each === word);
      if (found !== undefined) return found;
      if (word === undefined || carried.some((each) => each === word)) return meant;
      context.addIssue({ code: 'custom', message: expected });
      return z.NEVER;
    });
}

/** The two forms of a second-order step. */
export const solverType = wordOf(['midpoint', 'heun'], ['logrho', 'bh1', 'bh2'], 'midpoint');
