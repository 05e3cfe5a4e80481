import { z } from 'zod';
import { ConfigError } from '../../errors.ts';
import { checkArguments, object } from '../../io/check-call.ts';
import { shown } from '../../io/error-text.ts';
import { wanted } from '../../io/wanted.ts';
import type { Scheduler } from './scheduler.ts';
import { type SchedulerClass, schedulerClasses } from './scheduler-classes.ts';
import {
  allSchedulers,
  compatibleSchedulers,
  isSchedulerName,
  type SchedulerName,
  schedulerCalled,
  shortName,
} from './scheduler-names.ts';

/** Parsed `scheduler_config.json`. */
export type SchedulerConfig = Readonly<Record<string, unknown>>;

const classes: Readonly<Record<SchedulerName, SchedulerClass>> = schedulerClasses;

/**
 * Creates the scheduler that a diffusers configuration (`scheduler_config.json`) describes; missing options have
 * diffusers' defaults. Options of other classes, which diffusers copies along, are ignored, as in diffusers.
 *
 * `as`: another class in place of the configuration's, by any of its names. It takes the options that it knows from the
 * configuration and its own defaults for the rest, as diffusers' `from_config` does.
 *
 * @example
 * createScheduler({ _class_name: 'PNDMScheduler', skip_prk_steps: true, beta_schedule: 'scaled_linear' }, 'euler_a');
 * @throws ConfigError naming the key, when `_class_name` or an option is not supported.
 * @throws RequestError when there is no scheduler called `as`.
 */
export function createScheduler(config: SchedulerConfig, as?: string): Scheduler {
  checkArguments('createScheduler', { config: [config, object] });
  const own = config._class_name;
  const name = as === undefined ? own : schedulerCalled(as);
  if (!isSchedulerName(name)) throw refused('The pipeline', '_class_name', own, allSchedulers().join(', '));
  const options = optionsOf(config, name);
  if (isSchedulerName(own)) checkCompatible(own, name, options);
  try {
    return classes[name].create(options);
  } catch (error) {
    if (!(error instanceof z.ZodError)) throw error;
    const [issue] = error.issues;
    const key = String(issue?.path[0] ?? '');
    const expected = issue ? wanted(issue) : '';
    throw refused(name, key, config[key], expected, { cause: error });
  }
}

/** Selects the options that are set. Throws `ConfigError` for an option that is in effect and that no class knows. */
function optionsOf(config: SchedulerConfig, name: SchedulerName): SchedulerConfig {
  // diffusers lists the options that it filled in itself.
  const filledIn = new Set(Array.isArray(config._use_default_values) ? config._use_default_values : []);
  const set = Object.entries(config).filter(
    ([key, value]) => !filledIn.has(key) && (value !== null || !mayBeNull(name, key)),
  );
  // Checked for the configuration's own class only: one that replaces it (`as`) ignores options it does not know.
  if (config._class_name === name) {
    const unknown = set.find(([key, value]) => value !== false && !isKnown(key));
    if (unknown)
      throw refused(name, unknown[0], unknown[1], 'no such option: sdconvert does not know what it does');
  }
  return Object.fromEntries(set);
}

/** Options that diffusers reads only where another is on, or for which null is like its default. */
const unreadWhereNull = [
  'clip_sample_range',
  'dynamic_thresholding_ratio',
  'flow_shift',
  'sample_max_value',
  'time_shift_type',
  'timestep_type',
  'variance_type',
];

/**
 * Whether an option that is null is one that is not set: it is by default, or the class does not read it. For any other diffusers takes
 * null at its word, as off, or fails.
 */
function mayBeNull(name: SchedulerName, key: string): boolean {
  const { shape } = classes[name].config;
  if (!Object.hasOwn(shape, key) || unreadWhereNull.includes(key)) return true;
  return shape[key] instanceof z.ZodOptional;
}

function isKnown(key: string): boolean {
  return key.startsWith('_') || Object.values(classes).some(({ config }) => Object.hasOwn(config.shape, key));
}

/** Refuses what diffusers accepts but turns into noise: a flow scheduler for a diffusion model, or the wrong preconditioning. */
function checkCompatible(own: SchedulerName, name: SchedulerName, options: SchedulerConfig): void {
  if (own === name || compatibleSchedulers(own).includes(name)) return;
  if (own === 'FlowMatchEulerDiscreteScheduler' && options.use_flow_sigmas === true) return;
  throw new ConfigError({
    problem: `${name} cannot be used with a model trained for ${own}: the two interpret the model's output differently.`,
    advice: `Choose from ${[own, ...compatibleSchedulers(own)].map(shortName).join(', ')}.`,
  });
}

function refused(
  name: string,
  key: string,
  value: unknown,
  expected: string,
  options?: ErrorOptions,
): ConfigError {
  return new ConfigError(
    {
      problem: `${name} is configured with a "${key}" that sdconvert does not support.`,
      details: { expected, found: value === undefined ? 'nothing' : shown(value) },
      advice: 'Change it in scheduler_config.json, or choose another scheduler with --scheduler.',
    },
    options,
  );
}
