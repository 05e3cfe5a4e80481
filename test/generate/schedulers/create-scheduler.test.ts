import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError, RequestError, ShapeError } from '../../../src/errors.ts';
import { createScheduler } from '../../../src/generate/schedulers/create-scheduler.ts';
import { dynamicShift } from '../../../src/generate/schedulers/schedule/flow-shift.ts';
import type { Scheduler } from '../../../src/generate/schedulers/scheduler.ts';
import { schedulerClasses } from '../../../src/generate/schedulers/scheduler-classes.ts';
import { allSchedulers, schedulerCalled } from '../../../src/generate/schedulers/scheduler-names.ts';
import { createRng } from '../../../src/random/random.ts';
import { error, model, replay } from '../../support/scheduler-goldens.ts';

const folder = new URL('../../goldens/schedulers/', import.meta.url);

// What diffusers 0.42.1 does, recorded after every step of a run, in text-to-image and image-to-image, with every
// prediction, spacing and option (record_schedulers.py). diffusers rounds every intermediate to float32, we only the
// results: measured differences stay below 1.1e-6 of the largest value.
const TOLERANCE = 2e-6;
/** Here diffusers divides by a share of the picture of 3e-4, known to float32: measured 8.1e-6. */
const ROUNDED_BY_DIFFUSERS = new Map([['DEISMultistep_flow__flow_prediction__7.safetensors', 1e-5]]);
/** Sigmas whose last bit is another: diffusers takes their exponentials in float32, measured 4.1e-9 and 1.1e-9. */
const LAST_BIT = new Set([
  'DPMSolverMultistep_lu__epsilon__7.safetensors',
  'EDMEuler_exponential__v_prediction__7.safetensors',
]);
const runs = readdirSync(folder).filter((file) => file.endsWith('.safetensors') && !file.startsWith('_'));

describe('every step of a recorded diffusers run is followed', () => {
  test.each(runs)('%s', async (file) => {
    const run = await replay(fileURLToPath(new URL(file, folder)));
    const { timesteps, areWhole, sigmas, start, steps } = run;
    const hasStages = /KDPM2|SDE/.test(file);
    // Timesteps of stages and of chosen sigmas are fractions, interpolated in float32 logarithms: measured 5.4e-8.
    if (areWhole && !hasStages) expect(timesteps).toBe(0);
    else expect(timesteps).toBeLessThan(1e-7);
    // Of two stages that are apart, ours alternate and diffusers' repeat.
    if (LAST_BIT.has(file)) expect(sigmas).toBeLessThan(1e-8);
    else if (!hasStages) expect(sigmas).toBe(0);
    expect(start).toBeLessThan(2e-7);
    for (const [step, distance] of steps.entries())
      expect(distance, `step ${step}`).toBeLessThan(ROUNDED_BY_DIFFUSERS.get(file) ?? TOLERANCE);
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
      const noise = (count: number) => draws.normal(count);
      sample = scheduler.step(model(scheduler, sample, t), t, sample, { noise });
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
  const single = { _class_name: 'DPMSolverSinglestepScheduler' };
  const euler = { _class_name: 'EulerDiscreteScheduler' };
  const edm = { _class_name: 'EDMDPMSolverMultistepScheduler' };
  const flow = { _class_name: 'FlowMatchEulerDiscreteScheduler' };
  test.each<[string, Readonly<Record<string, unknown>>]>([
    ['_class_name', { _class_name: 'SASolverScheduler' }],
    ['_class_name', { _class_name: 'constructor' }],
    ['_class_name', {}],
    ['prediction_type', { ...pndm, prediction_type: 'sample' }],
    ['beta_schedule', { ...pndm, beta_schedule: 'sigmoid' }],
    ['num_train_timesteps', { ...pndm, num_train_timesteps: '1000' }],
    ['trained_betas', { ...pndm, trained_betas: [[0.1]] }],
    ['trained_betas', { ...pndm, trained_betas: [0.1] }],
    ['algorithm_type', { ...dpm, algorithm_type: 'dpmsolver+++' }],
    ['solver_type', { ...dpm, solver_type: 7 }],
    ['final_sigmas_type', { ...dpm, algorithm_type: 'dpmsolver' }],
    ['final_sigmas_type', { _class_name: 'UniPCMultistepScheduler', predict_x0: false }],
    ['solver_order', { ...dpm, solver_order: 4 }],
    ['solver_order', { ...edm, solver_order: 3, algorithm_type: 'sde-dpmsolver++' }],
    ['variance_type', { ...dpm, variance_type: 'learned_range' }],
    ['variance_type', { _class_name: 'DDPMScheduler', variance_type: 'learned' }],
    ['prediction_type', { ...dpm, prediction_type: 'flow_prediction' }],
    ['prediction_type', { ...flow, prediction_type: 'epsilon' }],
    ['use_exponential_sigmas', { ...dpm, use_karras_sigmas: true, use_exponential_sigmas: true }],
    ['use_exponential_sigmas', { ...euler, use_karras_sigmas: true, use_beta_sigmas: true }],
    [
      'thresholding',
      { ...single, thresholding: true, algorithm_type: 'dpmsolver', final_sigmas_type: 'sigma_min' },
    ],
    ['interpolation_type', { ...euler, interpolation_type: 'cubic' }],
    ['use_flow_sigmas', { ...dpm, use_flow_sigmas: true, use_beta_sigmas: true }],
    ['sigma_min', { ...edm, sigma_min: 80 }],
    ['rho', { ...edm, rho: 0.01 }],
    ['original_inference_steps', { _class_name: 'TCDScheduler', num_train_timesteps: 20 }],
    ['original_inference_steps', { _class_name: 'LCMScheduler', original_inference_steps: 1001 }],
    ['beta_end', { ...dpm, beta_end: 0.9 }],
    ['use_new_sigmas', { ...euler, use_new_sigmas: true }],
  ])('%s of %j', (key, config) => {
    expect(() => createScheduler(config)).toThrow(ConfigError);
    expect(() => createScheduler(config)).toThrow(key);
  });

  test('a number outside its range is refused at once, with the range', () => {
    for (const name of allSchedulers())
      for (const num_train_timesteps of [2 ** 31, 1e308, 1, -5, 2.5])
        expect(() => createScheduler({ _class_name: name, num_train_timesteps })).toThrow(
          /num_train_timesteps[\s\S]*from 2 to 100000[\s\S]*found/,
        );
  });

  test('every number of every class has a range', () => {
    for (const [name, { config }] of Object.entries(schedulerClasses))
      for (const key of Object.keys(config.shape))
        for (const value of [Number.MAX_VALUE, -Number.MAX_VALUE, 2 ** 53]) {
          // Read by diffusers' pipelines or by nobody: no scheduler computes with these.
          if (config.shape[key]?.safeParse({}).success) continue;
          expect(() => createScheduler({ _class_name: name, [key]: value }), `${name} ${key}`).toThrow(key);
        }
  });

  test('any configuration makes a scheduler that walks, or one clear error', () => {
    const keys = [
      ...new Set(Object.values(schedulerClasses).flatMap(({ config }) => Object.keys(config.shape))),
    ];
    const words =
      'linear scaled_linear epsilon v_prediction sample trailing karras heun sigma_min dpmsolver sde-dpmsolver++';
    const value = fc.oneof(
      fc.constantFrom<unknown>(...words.split(' '), true, false, null, 0, 1, 2, 3, 0.5, 1000, -1),
      fc.double(),
      fc.jsonValue({ maxDepth: 2 }),
    );
    const config = fc.dictionary(fc.constantFrom(...keys), value, { maxKeys: 6 });
    const name = fc.constantFrom(...allSchedulers());
    const one = Float32Array.of(0.5, -1);
    fc.assert(
      fc.property(name, config, fc.integer({ min: 1, max: 6 }), (_class_name, options, count) => {
        try {
          const scheduler = createScheduler({ ...options, _class_name });
          scheduler.setTimesteps(count, { mu: 1 });
          let sample: Float32Array = one;
          for (const t of scheduler.timesteps) sample = scheduler.step(one, t, sample, { noise: one });
        } catch (error) {
          if (!(error instanceof ConfigError || error instanceof RequestError)) throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('a value of any depth and length is named in one short sentence', () => {
    let deep: unknown = 1;
    for (let i = 0; i < 50_000; i++) deep = [deep];
    expect(() => createScheduler({ ...dpm, solver_order: deep })).toThrow(
      /solver_order[\s\S]*found +\[\[\[…\]\]\]/,
    );
    expect(() => createScheduler({ ...dpm, beta_schedule: 'x'.repeat(1e6) })).toThrow(/^[\s\S]{1,500}$/);
  });
});

test('the configurations that come along are followed', () => {
  const assets = new URL('../../../assets/schedulers/', import.meta.url);
  for (const name of readdirSync(assets)) {
    const text = readFileSync(new URL(`${name}/scheduler_config.json`, assets), 'utf8');
    const scheduler = createScheduler(JSON.parse(text));
    scheduler.setTimesteps(4);
    expect(scheduler.timesteps.length, name).toBeGreaterThanOrEqual(4);
  }
});

describe('a scheduler in the place of another', () => {
  const pndm = {
    _class_name: 'PNDMScheduler',
    skip_prk_steps: true,
    beta_schedule: 'scaled_linear',
    steps_offset: 1,
    timestep_spacing: 'leading',
  };
  const walk = (scheduler: Scheduler) => {
    scheduler.setTimesteps(4);
    return {
      timesteps: scheduler.timesteps,
      noisy: scheduler.addNoise(one, one, scheduler.timesteps[1] ?? 0),
    };
  };
  const one = Float32Array.of(1);

  test('takes the options that it knows, and has its own defaults for the rest', () => {
    const { _class_name, skip_prk_steps, ...known } = pndm;
    const asked = { _class_name: 'UniPCMultistepScheduler', ...known };
    expect(walk(createScheduler(pndm, 'unipc'))).toEqual(walk(createScheduler(asked)));
  });

  test('does not take what diffusers filled in by default', () => {
    const filled = { ...pndm, _use_default_values: ['timestep_spacing', 'steps_offset'] };
    const { timestep_spacing, steps_offset, ...given } = pndm;
    expect(walk(createScheduler(filled, 'euler'))).toEqual(walk(createScheduler(given, 'euler')));
    expect(walk(createScheduler(filled, 'euler'))).not.toEqual(walk(createScheduler(pndm, 'euler')));
  });

  test('reads the others’ words for a solver as its own', () => {
    const unipc = {
      _class_name: 'UniPCMultistepScheduler',
      solver_type: 'bh2',
      beta_schedule: 'scaled_linear',
    };
    for (const name of ['dpm++', 'dpm++_2s', 'deis']) walk(createScheduler(unipc, name));
    walk(createScheduler({ ...pndm, algorithm_type: 'dpmsolver++', solver_type: 'midpoint' }, 'deis'));
  });

  test('may stand in for one that is not here, whose options mean nothing to it', () => {
    const sa = { _class_name: 'SASolverScheduler', predictor_order: 2, beta_schedule: 'scaled_linear' };
    expect(walk(createScheduler(sa, 'euler')).timesteps).toEqual([999, 666, 333, 0]);
    expect(() => createScheduler(sa)).toThrow(/_class_name/);
  });

  test('is refused where the model predicts something else', () => {
    const flow = { _class_name: 'FlowMatchEulerDiscreteScheduler', shift: 3 };
    const edm = { _class_name: 'EDMEulerScheduler' };
    expect(() => createScheduler(pndm, 'flow_euler')).toThrow(/interpret the model's output differently/);
    expect(() => createScheduler(flow, 'euler')).toThrow(/Choose from flow_euler/);
    expect(() => createScheduler(edm, 'euler')).toThrow(/Choose from edm_euler, edm_dpm\+\+/);
    expect(walk(createScheduler(edm, 'edm_dpm++')).timesteps).toHaveLength(4);
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

describe('an option that is null', () => {
  const walk = (config: Readonly<Record<string, unknown>>) => {
    const scheduler = createScheduler({ num_train_timesteps: 50, ...config });
    scheduler.setTimesteps(3);
    let sample: Float32Array = Float32Array.of(3, -2);
    const noise = Float32Array.of(0.1, 0.2);
    for (const t of scheduler.timesteps)
      sample = scheduler.step(Float32Array.of(0.3, -4), t, sample, { noise });
    return sample;
  };

  test('is off, where it is on or off, whatever its default is', () => {
    for (const name of allSchedulers())
      for (const [key, schema] of Object.entries(schedulerClasses[schedulerCalled(name)].config.shape)) {
        if (!schema.safeParse(true).success || schema.safeParse({}).success) continue;
        const results = [null, false].map((value) => {
          try {
            return walk({ _class_name: name, [key]: value });
          } catch (error) {
            return error instanceof ConfigError ? error.details.expected : error;
          }
        });
        expect(results[0], `${name} ${key}`).toEqual(results[1]);
      }
  });

  test('is refused where diffusers fails, and not set where it is null by default', () => {
    const ddim = { _class_name: 'DDIMScheduler' };
    for (const key of ['beta_schedule', 'beta_start', 'timestep_spacing', 'prediction_type', 'steps_offset'])
      expect(() => createScheduler({ ...ddim, [key]: null })).toThrow(
        new RegExp(`"${key}"[\\s\\S]*found +null`),
      );
    for (const key of ['trained_betas', 'sample_max_value', 'some_new_thing'])
      expect(walk({ ...ddim, [key]: null })).toEqual(walk(ddim));
  });
});

test('numbers so small that float32 loses them are refused, before a picture is NaN', () => {
  for (const name of allSchedulers()) {
    const betas = [{ beta_start: 1e-12 }, { trained_betas: Array.from({ length: 1000 }, () => 1e-12) }];
    if (Object.hasOwn(schedulerClasses[schedulerCalled(name)].config.shape, 'beta_start'))
      for (const odd of betas)
        expect(() => createScheduler({ _class_name: name, ...odd }), name).toThrow(/betas so small/);
  }
  for (const [name, key] of [
    ['EDMEulerScheduler', 'sigma_min'],
    ['EDMDPMSolverMultistepScheduler', 'sigma_data'],
    ['FlowMatchEulerDiscreteScheduler', 'shift'],
    ['HeunDiscreteScheduler', 'sigma_min'],
  ] as const)
    expect(() => createScheduler({ _class_name: name, [key]: 1e-300 })).toThrow(/from 0\.000001 to/);
});

describe('a walk is refused', () => {
  test('from pure noise, with a model that predicts noise', () => {
    for (const name of ['ddim', 'ddpm', 'tcd', 'lcm']) {
      const zero = { rescale_betas_zero_snr: true, timestep_spacing: 'trailing' };
      const own = createScheduler({ ...zero, _class_name: schedulerCalled(name) });
      own.setTimesteps(1);
      const last = own.timesteps[0] ?? 0;
      expect(() => own.step(one, last, one, { noise: one })).toThrow(/pure noise/);
    }
  });

  test('between ends that are crossed', () => {
    const karras = { _class_name: 'HeunDiscreteScheduler', use_karras_sigmas: true, sigma_min: 500 };
    expect(() => createScheduler(karras).setTimesteps(4)).toThrow(
      /sigma_min that is not below its sigma_max/,
    );
  });

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
  for (const _class_name of allSchedulers()) {
    const scheduler = createScheduler({ _class_name });
    const [first, second] = [1, 2].map(() => {
      scheduler.setTimesteps(5);
      const draws = createRng('torch', 3);
      const noise = (count: number) => draws.normal(count);
      let sample: Float32Array = Float32Array.of(1, -2).map((value) => value * scheduler.initNoiseSigma);
      for (const t of scheduler.timesteps)
        sample = scheduler.step(model(scheduler, sample, t), t, sample, { noise });
      return sample;
    });
    expect(second, _class_name).toEqual(first);
    expect(first?.every(Number.isFinite), _class_name).toBe(true);
  }
});

test('a last step of no width leaves the sample as it is', () => {
  const config = {
    use_karras_sigmas: true,
    final_sigmas_type: 'sigma_min',
    solver_order: 3,
    solver_type: 'heun',
  };
  for (const algorithm_type of ['dpmsolver', 'dpmsolver++']) {
    const scheduler = createScheduler({
      ...config,
      algorithm_type,
      _class_name: 'DPMSolverMultistepScheduler',
    });
    scheduler.setTimesteps(20);
    let sample: Float32Array = Float32Array.of(1, -2);
    let before = sample;
    for (const t of scheduler.timesteps) {
      before = sample;
      sample = scheduler.step(model(scheduler, before, t), t, before);
    }
    expect(sample.every(Number.isFinite)).toBe(true);
    expect(sample).toEqual(before);
  }
});

test('a shift that depends on the picture is asked for, and follows diffusers’ line', () => {
  const config = { _class_name: 'FlowMatchEulerDiscreteScheduler', use_dynamic_shifting: true };
  const scheduler = createScheduler(config);
  expect(() => scheduler.setTimesteps(4)).toThrow(/size of the picture/);
  expect([256, 1024, 4096].map((tokens) => dynamicShift(config, tokens))).toEqual([0.5, 0.63, 1.15]);
  scheduler.setTimesteps(4, { mu: dynamicShift(config, 1024) });
  expect(scheduler.timesteps).toHaveLength(4);
});

test('lists of any length are looked through once', () => {
  const ones = Array<number>(100_000).fill(1);
  const start = process.cpuUsage();
  const ddim = { _class_name: 'DDIMScheduler' };
  expect(() => createScheduler({ ...ddim, trained_betas: ones })).toThrow(/numbers above 0 and below 1/);
  const keys = Object.fromEntries(ones.slice(50_000).map((_, at) => [`k${at}`, null]));
  createScheduler({ ...ddim, ...keys, _use_default_values: ones.map((_, at) => `x${at}`) });
  expect(process.cpuUsage(start).user).toBeLessThan(1e6); // 0.1 s, and 7 s with a look through the list for each key
});
