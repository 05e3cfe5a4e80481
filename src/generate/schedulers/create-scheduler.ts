import type { z } from 'zod';
import { ConfigError } from '../../errors.ts';
import { DdimScheduler, ddimConfig } from './ddim.ts';
import { DpmSolverMultistepScheduler, dpmSolverMultistepConfig } from './dpm-solver-multistep.ts';
import { EulerAncestralDiscreteScheduler, eulerAncestralDiscreteConfig } from './euler-ancestral-discrete.ts';
import { EulerDiscreteScheduler, eulerDiscreteConfig } from './euler-discrete.ts';
import { LcmScheduler, lcmConfig } from './lcm.ts';
import { LmsDiscreteScheduler, lmsDiscreteConfig } from './lms-discrete.ts';
import { PndmScheduler, pndmConfig } from './pndm.ts';
import type { Scheduler } from './scheduler.ts';
import { UniPcMultistepScheduler, unipcMultistepConfig } from './unipc-multistep.ts';

const table = {
  DDIMScheduler: entry(ddimConfig, DdimScheduler),
  DPMSolverMultistepScheduler: entry(dpmSolverMultistepConfig, DpmSolverMultistepScheduler),
  EulerAncestralDiscreteScheduler: entry(eulerAncestralDiscreteConfig, EulerAncestralDiscreteScheduler),
  EulerDiscreteScheduler: entry(eulerDiscreteConfig, EulerDiscreteScheduler),
  LCMScheduler: entry(lcmConfig, LcmScheduler),
  LMSDiscreteScheduler: entry(lmsDiscreteConfig, LmsDiscreteScheduler),
  PNDMScheduler: entry(pndmConfig, PndmScheduler),
  UniPCMultistepScheduler: entry(unipcMultistepConfig, UniPcMultistepScheduler),
};

interface Entry {
  readonly keys: ReadonlySet<string>;
  create(name: string, config: Config): Scheduler;
}

type Config = Readonly<Record<string, unknown>>;

function entry<Schema extends z.ZodObject>(
  schema: Schema,
  Class: new (config: z.infer<Schema>) => Scheduler,
): Entry {
  return {
    keys: new Set(Object.keys(schema.shape)),
    create: (name, config) => {
      const parsed = schema.safeParse(config);
      if (parsed.success) return new Class(parsed.data);
      const [issue] = parsed.error.issues;
      const key = String(issue?.path[0] ?? '');
      throw refused(name, key, config[key], issue?.message.replace(/^Invalid \w+: expected /, '') ?? '');
    },
  };
}

/** A `_class_name` that `createScheduler` knows. */
export type SchedulerName = keyof typeof table;

const schedulerNames = Object.keys(table);

/**
 * The scheduler that a diffusers configuration (`scheduler_config.json`) describes, with diffusers' defaults for what
 * it does not say. Options of other schedulers, which diffusers carries along, have no effect, as there.
 *
 * @example
 * createScheduler({ _class_name: 'PNDMScheduler', skip_prk_steps: true, beta_schedule: 'scaled_linear' });
 * @throws ConfigError naming the key, when `_class_name` or an option is one that sdconvert cannot follow.
 */
export function createScheduler(config: Config): Scheduler {
  const name = config._class_name;
  const found = Object.entries(table).find(([known]) => known === name)?.[1];
  if (typeof name !== 'string' || !found)
    throw refused('The pipeline', '_class_name', name, schedulerNames.join(', '));
  // diffusers writes null where an option is not set.
  const set = Object.fromEntries(Object.entries(config).filter(([, value]) => value !== null));
  const unknown = Object.entries(set).find(([key, value]) => value !== false && !isKnown(key));
  if (unknown)
    throw refused(name, unknown[0], unknown[1], 'no such option: sdconvert does not know what it does');
  return found.create(name, set);
}

function isKnown(key: string): boolean {
  return key.startsWith('_') || Object.values(table).some(({ keys }) => keys.has(key));
}

function refused(name: string, key: string, value: unknown, expected: string): ConfigError {
  return new ConfigError({
    problem: `${name} is configured with a "${key}" that sdconvert cannot follow.`,
    details: { expected, found: value === undefined ? 'nothing' : (JSON.stringify(value) ?? String(value)) },
    advice: 'Change it in scheduler_config.json, or choose another scheduler with --scheduler.',
  });
}
