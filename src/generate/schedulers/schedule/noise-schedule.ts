import { ConfigError, RequestError } from '../../../errors.ts';
import { roundHalfEven } from './round-half-even.ts';

/**
 * The noise schedule that a model was trained with, and the timesteps of a sampling run. The cumulative alphas are rounded
 * to float32 as in diffusers, because 1 − ᾱ of the first timesteps magnifies that rounding a thousandfold.
 */
export interface TrainingNoise {
  readonly num_train_timesteps: number;
  readonly beta_start: number;
  readonly beta_end: number;
  readonly beta_schedule: 'linear' | 'scaled_linear' | 'squaredcos_cap_v2' | 'exp' | 'laplace' | 'sigmoid';
  readonly trained_betas?: readonly number[] | undefined;
}

/** How timesteps are spread over the training schedule (Lin et al. 2023, table 2). */
export type TimestepSpacing = 'linspace' | 'leading' | 'trailing';

const round = Math.fround;

/** ᾱ of every training timestep, float32. `zeroSnr` shifts the last one to pure noise (Lin et al. 2023, algorithm 1). Throws `ConfigError`. */
export function cumulativeAlphas(config: TrainingNoise, zeroSnr: boolean): Float32Array {
  const products = cumulativeProducts(betas(config));
  if (products.at(-1) === 0) throw oddBetas('large that nothing of the picture is left (ᾱ = 0)', config);
  if (products[0] === 1) throw oddBetas('small that the first timestep has no noise (ᾱ = 1)', config);
  return zeroSnr ? cumulativeProducts(betasToPureNoise(products)) : products;
}

function oddBetas(what: string, { beta_start, beta_end, num_train_timesteps, trained_betas }: TrainingNoise) {
  const found = trained_betas
    ? `trained_betas from ${trained_betas[0]} to ${trained_betas.at(-1)}`
    : `beta_start ${beta_start}, beta_end ${beta_end}`;
  return new ConfigError({
    problem: `The scheduler configuration has betas so ${what}.`,
    details: {
      expected: 'betas like 0.00085 to 0.012 in 1000 timesteps',
      found: `${found} in ${num_train_timesteps} timesteps`,
    },
    advice: 'Take scheduler_config.json from the same source as the model again.',
  });
}

function cumulativeProducts(betas: Float32Array): Float32Array {
  let product = 1;
  return betas.map((beta) => {
    product *= round(1 - beta);
    return product;
  });
}

function betas(config: TrainingNoise): Float32Array {
  const { num_train_timesteps: count, beta_start: start, beta_end: end, trained_betas: trained } = config;
  if (trained) {
    if (trained.length === count) return Float32Array.from(trained);
    throw new ConfigError({
      problem: 'The scheduler configuration has a trained_betas list of the wrong length.',
      details: { expected: `${count} numbers (num_train_timesteps)`, found: `${trained.length} numbers` },
    });
  }
  switch (config.beta_schedule) {
    case 'linear':
      return linspace32(start, end, count);
    case 'scaled_linear':
      return linspace32(Math.sqrt(start), Math.sqrt(end), count).map((root) => root * root);
    case 'sigmoid':
      return linspace32(-6, 6, count).map(
        (x) => round(round(1 / (1 + Math.exp(-x))) * round(end - start)) + round(start),
      );
    default:
      return betasOfAlphaBar(alphaBars[config.beta_schedule], count);
  }
}

/** ᾱ as a function of time, 0 to 1 over the training schedule. */
const alphaBars = {
  squaredcos_cap_v2: (t: number) => Math.cos((((t + 0.008) / 1.008) * Math.PI) / 2) ** 2,
  exp: (t: number) => Math.exp(-12 * t),
  laplace: (t: number) => {
    const logSnr = -0.5 * Math.sign(0.5 - t || 1) * Math.log(1 - 2 * Math.abs(0.5 - t) + 1e-6);
    const snr = Math.exp(logSnr);
    return Math.sqrt(snr / (1 + snr));
  },
};

function betasOfAlphaBar(alphaBar: (t: number) => number, count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) =>
    Math.min(1 - alphaBar((i + 1) / count) / alphaBar(i / count), 0.999),
  );
}

/** Evenly spaced float32 numbers, counted from both ends towards the middle as `torch.linspace` does. */
export function linspace32(start: number, end: number, count: number): Float32Array {
  const [first, last] = [round(start), round(end)];
  const step = round(round(last - first) / (count - 1));
  return Float32Array.from({ length: count }, (_, i) =>
    i < count / 2 ? first + step * i : last - step * (count - 1 - i),
  );
}

function betasToPureNoise(alphas: Float32Array): Float32Array {
  const roots = alphas.map(Math.sqrt);
  const [first = 0, last = 0] = [roots[0], roots.at(-1)];
  const stretch = round(first / round(first - last));
  const stretched = roots.map((root) => round(round(root - last) * stretch)).map((root) => root * root);
  return stretched.map((alpha, i) => 1 - round(alpha / (stretched[i - 1] ?? 1)));
}

/**
 * Noise over picture, √((1 − ᾱ)/ᾱ), of every training timestep, float32. No solver can start at infinity, so with
 * `zeroSnr` the last ᾱ, which is zero, is read as 2⁻²⁴, as diffusers reads it.
 */
export function noiseRatios(alphas: Float32Array, zeroSnr: boolean): Float32Array {
  const positive = zeroSnr ? alphas.with(-1, 2 ** -24) : alphas;
  return positive.map((alpha) => Math.sqrt(round(round(1 - alpha) / alpha)));
}

/**
 * `count` timesteps in descending order. `linspace` gives fractions; the others are whole numbers.
 * Throws `RequestError` when `count` is not a whole number from 1 to `trainSteps`.
 */
export function spacedTimesteps(
  spacing: TimestepSpacing,
  count: number,
  { trainSteps, offset }: { readonly trainSteps: number; readonly offset: number },
): number[] {
  checkSteps(count, trainSteps);
  switch (spacing) {
    case 'linspace':
      return linspace(trainSteps - 1, 0, count);
    case 'leading': {
      const stride = Math.floor(trainSteps / count);
      return Array.from({ length: count }, (_, i) => (count - 1 - i) * stride + offset);
    }
    case 'trailing':
      return trailing(trainSteps, trainSteps / count);
  }
}

/**
 * `count` whole timesteps for solvers that look one step ahead: `linspace` and `leading` make one more and drop the
 * last. Only the first `usable` of `trainSteps` timesteps are visited. Throws `RequestError` when these are too few.
 */
export function timestepsAhead(
  spacing: TimestepSpacing,
  count: number,
  range: { readonly trainSteps: number; readonly usable: number; readonly offset: number },
): number[] {
  checkSteps(count, range.usable - 1);
  if (spacing === 'trailing') return trailing(range.usable, range.trainSteps / count);
  const oneMore = spacedTimesteps(spacing, count + 1, { trainSteps: range.usable, offset: range.offset });
  return oneMore.slice(0, -1).map(roundHalfEven);
}

/** Throws `RequestError` unless a sampling run can have `count` steps. */
export function checkSteps(count: number, most: number): void {
  if (Number.isInteger(count) && count >= 1 && count <= most) return;
  throw new RequestError({
    problem: `A picture cannot be made in ${count} steps with this scheduler.`,
    details: { expected: `a whole number from 1 to ${most}`, found: String(count) },
  });
}

function trailing(start: number, stride: number): number[] {
  // Subtracting 1e-9 keeps a stride that was rounded down (1000 / 61) from adding a step below zero, as in NumPy.
  const count = Math.ceil(start / stride - 1e-9);
  return Array.from({ length: count }, (_, i) => roundHalfEven(start - i * stride) - 1);
}

/** `count` evenly spaced numbers from `start` down to `end`, in double precision; a single number is the lower end. */
function linspace(start: number, end: number, count: number): number[] {
  if (count === 1) return [Math.min(start, end)];
  const step = (start - end) / (count - 1);
  return Array.from({ length: count }, (_, i) => (i === 0 ? start : end + (count - 1 - i) * step));
}

/** Interpolates a table linearly at a fractional index; constant beyond the ends. */
export function interpolate(table: Float32Array, index: number): number {
  const clamped = Math.min(Math.max(index, 0), table.length - 1);
  const below = Math.floor(clamped);
  const [low = 0, high = low] = table.subarray(below, below + 2);
  return low + (clamped - below) * (high - low);
}

/** ᾱ at a whole timestep; `afterLast` below timestep 0. Throws `RequestError` above the last timestep. */
export function alphaAt(alphas: Float32Array, t: number, afterLast: number): number {
  const alpha = t < 0 ? afterLast : alphas[t];
  if (alpha !== undefined) return alpha;
  throw new RequestError({
    problem: `The model was not trained at timestep ${t}.`,
    details: { expected: `a whole number below ${alphas.length}`, found: String(t) },
    advice: 'Ask for fewer steps: with steps_offset the first timestep lies beyond the training schedule.',
  });
}
