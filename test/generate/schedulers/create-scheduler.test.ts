import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { ConfigError, RequestError, ShapeError } from '../../../src/errors.ts';
import { createScheduler } from '../../../src/generate/schedulers/create-scheduler.ts';
import type { Scheduler, StepOptions } from '../../../src/generate/schedulers/scheduler.ts';
import { isJsonObject, parsePythonJson } from '../../../src/io/python-json.ts';
import { createRng } from '../../../src/random/random.ts';
import { openSafetensors } from '../../../src/weights/safetensors-file.ts';
import { readTensor } from '../../../src/weights/tensor-data.ts';

const folder = new URL('../../goldens/schedulers/', import.meta.url);

/** The largest error, relative to the largest value. */
function error(ours: ArrayLike<number>, theirs: ArrayLike<number>): number {
  const values = Array.from(theirs);
  const worst = Math.max(...values.map((value, i) => Math.abs((ours[i] ?? Number.NaN) - value)));
  return worst / Math.max(...values.map(Math.abs));
}

/** The goldens' model: its output depends on the timestep and on what the scheduler showed it. */
function model(scheduler: Scheduler, sample: Float32Array, t: number): Float32Array {
  const gain = Math.fround(0.1 * Math.sin(t / 1000));
  return scheduler.scaleModelInput(sample, t).map((value) => gain * value);
}

async function readGolden(file: string) {
  const golden = await openSafetensors(fileURLToPath(new URL(file, folder)));
  const arrays = new Map<string, readonly number[]>();
  for (const [name, weight] of golden.weights) {
    const { data } = await readTensor(weight, weight.dtype);
    arrays.set(name, Array.from<number | bigint, number>(data, Number));
  }
  await golden.close();
  const config = parsePythonJson(golden.metadata.config ?? '', file);
  if (!isJsonObject(config)) throw new Error(`${file} has no config`);
  return {
    scheduler: createScheduler({ _class_name: golden.metadata.scheduler_class, ...config }),
    array: (name: string) => arrays.get(name) ?? [],
  };
}

// What diffusers 0.42.1 does, recorded: latents [1, 4, 8, 8] after every step of a run, in text-to-image
// (epsilon and velocity models) and image-to-image. diffusers rounds every intermediate to float32, we only the
// results: measured differences stay below 8e-7 of the largest value.
const TOLERANCE = 2e-6;
const runs = readdirSync(folder).filter((file) => file.endsWith('.safetensors') && !file.startsWith('_'));

describe('every step of a recorded diffusers run is followed', () => {
  test.each(runs)('%s', async (file) => {
    const { scheduler, array } = await readGolden(file);
    const [steps = 0] = array('num_inference_steps');
    const [start = 0] = array('start');
    scheduler.setTimesteps(steps);
    // Timesteps of Karras sigmas are fractions, interpolated in float32 logarithms.
    expect(error(scheduler.timesteps, array('timesteps'))).toBeLessThan(1e-7);
    expect(error([scheduler.initNoiseSigma], array('init_noise_sigma'))).toBeLessThan(1e-7);

    const size = 256;
    const latents = (step: number) =>
      Float32Array.from(array('latents').slice(step * size, (step + 1) * size));
    let sample: Float32Array = latents(0);
    if (file.includes('img2img')) {
      const [picture, noise] = ['image_latents', 'noise'].map((name) => Float32Array.from(array(name)));
      if (!picture || !noise) throw new Error(`${file} has no picture`);
      const noisy = scheduler.addNoise(picture, noise, scheduler.timesteps[start] ?? 0);
      expect(error(noisy, array('noisy'))).toBeLessThan(2e-7);
    } else {
      const first = array('initial_noise').map((value) => value * scheduler.initNoiseSigma);
      expect(error(first, sample)).toBeLessThan(1e-7);
    }

    const walk = scheduler.timesteps.slice(start);
    expect(walk).toHaveLength(array('latents').length / size - 1);
    for (const [step, t] of walk.entries()) {
      const noise = Float32Array.from(array('noise_draws').slice(step * size, (step + 1) * size));
      const options: StepOptions = { ...(noise.length && { noise }), eta: file.includes('eta1') ? 1 : 0 };
      sample = scheduler.step(model(scheduler, sample, t), t, sample, options);
      expect(error(sample, latents(step + 1)), `step ${step}`).toBeLessThan(TOLERANCE);
    }
  });
});

// Options that those runs leave at their defaults, recorded with options.py beside them (diffusers 0.35.2).
interface OptionsRun {
  readonly config: Readonly<Record<string, unknown>>;
  readonly steps: number;
  readonly timesteps: readonly number[];
  readonly last: readonly number[];
}
const optionsRuns: OptionsRun[] = JSON.parse(readFileSync(new URL('options.json', folder), 'utf8'));

describe('options do what they do in diffusers', () => {
  const named = optionsRuns.map((run) => ({ ...run, name: describeOptions(run.config) }));

  test.each(named)('$name, $steps steps', ({ config, steps, timesteps, last }) => {
    const scheduler = createScheduler(config);
    scheduler.setTimesteps(steps);
    expect(scheduler.timesteps).toHaveLength(timesteps.length);
    // One step of timestep 0 has no error relative to itself.
    if (timesteps.some((t) => t > 0)) expect(error(scheduler.timesteps, timesteps)).toBeLessThan(1e-7);

    const draws = createRng('torch', 1);
    let sample: Float32Array = createRng('torch', 0)
      .normal(64)
      .map((value) => value * scheduler.initNoiseSigma);
    for (const t of scheduler.timesteps) {
      const noise = scheduler.needsNoise ? { noise: draws.normal(sample.length) } : {};
      sample = scheduler.step(model(scheduler, sample, t), t, sample, noise);
    }
    // Euler's samples shrink from sigma 14.6, or 4,096 with zero terminal SNR, and keep diffusers' rounding of them:
    // measured 7.1e-6 there, below 1.1e-6 elsewhere.
    expect(error(sample, last)).toBeLessThan(
      config._class_name === 'EulerDiscreteScheduler' ? 1e-5 : TOLERANCE,
    );
  });
});

function describeOptions({
  _class_name,
  beta_start,
  beta_end,
  trained_betas,
  ...options
}: OptionsRun['config']): string {
  const list = { ...options, ...(trained_betas ? { trained_betas: 'a list' } : {}) };
  return `${_class_name} ${Object.entries(list)
    .map(([key, value]) => `${key}=${value}`)
    .join(' ')}`;
}

describe('a configuration that cannot be followed is refused by its key', () => {
  const pndm = { _class_name: 'PNDMScheduler', skip_prk_steps: true };
  const dpm = { _class_name: 'DPMSolverMultistepScheduler' };
  const euler = { _class_name: 'EulerDiscreteScheduler' };
  test.each<[string, Readonly<Record<string, unknown>>]>([
    ['_class_name', { _class_name: 'HeunDiscreteScheduler' }],
    ['_class_name', {}],
    ['skip_prk_steps', { _class_name: 'PNDMScheduler' }],
    ['skip_prk_steps', { ...pndm, skip_prk_steps: false }],
    ['prediction_type', { ...pndm, prediction_type: 'sample' }],
    ['beta_schedule', { ...pndm, beta_schedule: 'sigmoid' }],
    ['num_train_timesteps', { ...pndm, num_train_timesteps: '1000' }],
    ['trained_betas', { ...pndm, trained_betas: [[0.1]] }],
    ['trained_betas', { ...pndm, trained_betas: [0.1] }],
    ['thresholding', { ...dpm, thresholding: true }],
    ['use_lu_lambdas', { ...dpm, use_lu_lambdas: true }],
    ['use_beta_sigmas', { ...dpm, use_beta_sigmas: true }],
    ['use_flow_sigmas', { ...dpm, use_flow_sigmas: true }],
    ['algorithm_type', { ...dpm, algorithm_type: 'dpmsolver' }],
    ['solver_order', { ...dpm, solver_order: 4 }],
    ['variance_type', { ...dpm, variance_type: 'learned_range' }],
    ['use_exponential_sigmas', { ...dpm, use_karras_sigmas: true, use_exponential_sigmas: true }],
    ['interpolation_type', { ...euler, interpolation_type: 'log_linear' }],
    ['timestep_type', { ...euler, timestep_type: 'continuous' }],
    ['sigma_max', { ...euler, sigma_max: 80 }],
    ['use_new_sigmas', { ...euler, use_new_sigmas: true }],
  ])('%s of %j', (key, config) => {
    expect(() => createScheduler(config)).toThrow(ConfigError);
    expect(() => createScheduler(config)).toThrow(key);
  });
});

test('options that are off, not set or belong to another scheduler have no effect', () => {
  const plain = { _class_name: 'PNDMScheduler', skip_prk_steps: true };
  const carried = {
    ...plain,
    _diffusers_version: '0.6.0',
    clip_sample: true,
    solver_order: 3,
    some_new_thing: false,
    trained_betas: null,
  };
  const [a, b] = [plain, carried].map((config) => {
    const scheduler = createScheduler(config);
    scheduler.setTimesteps(4);
    return scheduler.addNoise(Float32Array.of(1), Float32Array.of(1), 501);
  });
  expect(a).toEqual(b);
});

describe('a walk is refused', () => {
  const scheduler = createScheduler({
    _class_name: 'DPMSolverMultistepScheduler',
    algorithm_type: 'sde-dpmsolver++',
  });
  const one = Float32Array.of(1);

  test('before it has timesteps', () => {
    expect(() => scheduler.step(one, 999, one, { noise: one })).toThrow(/no step left[\s\S]*setTimesteps/);
  });

  test('past its end and at timesteps it does not visit', () => {
    scheduler.setTimesteps(1);
    expect(() => scheduler.step(one, 998, one, { noise: one })).toThrow(RequestError);
    scheduler.step(one, 999, one, { noise: one });
    expect(() => scheduler.step(one, 999, one, { noise: one })).toThrow(RequestError);
  });

  test('without the noise it needs', () => {
    scheduler.setTimesteps(1);
    expect(() => scheduler.step(one, 999, one)).toThrow(/noise/);
  });

  test('with a model output of another size', () => {
    scheduler.setTimesteps(1);
    expect(() => scheduler.step(new Float32Array(2), 999, one, { noise: one })).toThrow(ShapeError);
  });

  test('with more steps than the model was trained for', () => {
    expect(() => scheduler.setTimesteps(1000)).toThrow(/1 to 999/);
    const ddim = createScheduler({ _class_name: 'DDIMScheduler', steps_offset: 1 });
    ddim.setTimesteps(1000);
    expect(() => ddim.step(one, 1000, one)).toThrow(/not trained at timestep 1000/);
  });
});

test('two walks with one scheduler are the same walk', () => {
  for (const _class_name of [
    'PNDMScheduler',
    'DPMSolverMultistepScheduler',
    'LMSDiscreteScheduler',
    'UniPCMultistepScheduler',
  ]) {
    const scheduler = createScheduler({ _class_name, skip_prk_steps: true });
    const [first, second] = [1, 2].map(() => {
      scheduler.setTimesteps(5);
      let sample: Float32Array = Float32Array.of(1, -2).map((value) => value * scheduler.initNoiseSigma);
      for (const t of scheduler.timesteps) sample = scheduler.step(model(scheduler, sample, t), t, sample);
      return sample;
    });
    expect(second).toEqual(first);
  }
});
