import type { z } from 'zod';
import type { Scheduler } from './scheduler.ts';
import { DdimScheduler, ddimConfig } from './solvers/ddim.ts';
import { DdpmScheduler, ddpmConfig } from './solvers/ddpm.ts';
import { DeisMultistepScheduler, deisMultistepConfig } from './solvers/deis-multistep.ts';
import { DpmSolverMultistepScheduler, dpmSolverMultistepConfig } from './solvers/dpm-solver-multistep.ts';
import { DpmSolverSdeScheduler, dpmSolverSdeConfig } from './solvers/dpm-solver-sde.ts';
import { DpmSolverSinglestepScheduler, dpmSolverSinglestepConfig } from './solvers/dpm-solver-singlestep.ts';
import {
  EdmDpmSolverMultistepScheduler,
  edmDpmSolverMultistepConfig,
} from './solvers/edm-dpm-solver-multistep.ts';
import { EdmEulerScheduler, edmEulerConfig } from './solvers/edm-euler.ts';
import {
  EulerAncestralDiscreteScheduler,
  eulerAncestralDiscreteConfig,
} from './solvers/euler-ancestral-discrete.ts';
import { EulerDiscreteScheduler, eulerDiscreteConfig } from './solvers/euler-discrete.ts';
import {
  FlowMatchEulerDiscreteScheduler,
  flowMatchEulerDiscreteConfig,
} from './solvers/flow-match-euler-discrete.ts';
import { HeunDiscreteScheduler, heunDiscreteConfig } from './solvers/heun-discrete.ts';
import {
  Kdpm2AncestralDiscreteScheduler,
  kdpm2AncestralDiscreteConfig,
} from './solvers/kdpm2-ancestral-discrete.ts';
import { Kdpm2DiscreteScheduler, kdpm2DiscreteConfig } from './solvers/kdpm2-discrete.ts';
import { LcmScheduler, lcmConfig } from './solvers/lcm.ts';
import { LmsDiscreteScheduler, lmsDiscreteConfig } from './solvers/lms-discrete.ts';
import { PndmScheduler, pndmConfig } from './solvers/pndm.ts';
import { TcdScheduler, tcdConfig } from './solvers/tcd.ts';
import { UniPcMultistepScheduler, unipcMultistepConfig } from './solvers/unipc-multistep.ts';

/** A scheduler class, as in diffusers. */
export interface SchedulerClass {
  /** Schema of its configuration. */
  readonly config: z.ZodObject;
  /** Creates a scheduler from a configuration. Throws `z.ZodError`. */
  create(config: Readonly<Record<string, unknown>>): Scheduler;
}

function entry<Schema extends z.ZodObject>(
  config: Schema,
  Class: new (config: z.infer<Schema>) => Scheduler,
): SchedulerClass {
  return { config, create: (values) => new Class(config.parse(values)) };
}

/** All schedulers, by the name of diffusers' class. */
export const schedulerClasses = {
  DDIMScheduler: entry(ddimConfig, DdimScheduler),
  DDPMScheduler: entry(ddpmConfig, DdpmScheduler),
  DEISMultistepScheduler: entry(deisMultistepConfig, DeisMultistepScheduler),
  DPMSolverMultistepScheduler: entry(dpmSolverMultistepConfig, DpmSolverMultistepScheduler),
  DPMSolverSDEScheduler: entry(dpmSolverSdeConfig, DpmSolverSdeScheduler),
  DPMSolverSinglestepScheduler: entry(dpmSolverSinglestepConfig, DpmSolverSinglestepScheduler),
  EDMDPMSolverMultistepScheduler: entry(edmDpmSolverMultistepConfig, EdmDpmSolverMultistepScheduler),
  EDMEulerScheduler: entry(edmEulerConfig, EdmEulerScheduler),
  EulerAncestralDiscreteScheduler: entry(eulerAncestralDiscreteConfig, EulerAncestralDiscreteScheduler),
  EulerDiscreteScheduler: entry(eulerDiscreteConfig, EulerDiscreteScheduler),
  FlowMatchEulerDiscreteScheduler: entry(flowMatchEulerDiscreteConfig, FlowMatchEulerDiscreteScheduler),
  HeunDiscreteScheduler: entry(heunDiscreteConfig, HeunDiscreteScheduler),
  KDPM2AncestralDiscreteScheduler: entry(kdpm2AncestralDiscreteConfig, Kdpm2AncestralDiscreteScheduler),
  KDPM2DiscreteScheduler: entry(kdpm2DiscreteConfig, Kdpm2DiscreteScheduler),
  LCMScheduler: entry(lcmConfig, LcmScheduler),
  LMSDiscreteScheduler: entry(lmsDiscreteConfig, LmsDiscreteScheduler),
  PNDMScheduler: entry(pndmConfig, PndmScheduler),
  TCDScheduler: entry(tcdConfig, TcdScheduler),
  UniPCMultistepScheduler: entry(unipcMultistepConfig, UniPcMultistepScheduler),
} satisfies Readonly<Record<string, SchedulerClass>>;
