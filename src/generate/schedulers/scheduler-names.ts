import { z } from 'zod';
import { RequestError } from '../../errors.ts';
import { checkArguments, text as textSchema } from '../../io/check-call.ts';

/** A scheduler's class in diffusers. */
export type SchedulerName =
  | 'DDIMScheduler'
  | 'DDPMScheduler'
  | 'DEISMultistepScheduler'
  | 'DPMSolverMultistepScheduler'
  | 'DPMSolverSDEScheduler'
  | 'DPMSolverSinglestepScheduler'
  | 'EDMDPMSolverMultistepScheduler'
  | 'EDMEulerScheduler'
  | 'EulerAncestralDiscreteScheduler'
  | 'EulerDiscreteScheduler'
  | 'FlowMatchEulerDiscreteScheduler'
  | 'HeunDiscreteScheduler'
  | 'KDPM2AncestralDiscreteScheduler'
  | 'KDPM2DiscreteScheduler'
  | 'LCMScheduler'
  | 'LMSDiscreteScheduler'
  | 'PNDMScheduler'
  | 'TCDScheduler'
  | 'UniPCMultistepScheduler';

/** Names of a class, and the models it is for. */
interface Naming {
  /** Names that people, other programs and Apple's Swift package (pndm, dpmpp) use; lists show the first. */
  readonly short: readonly [string, ...string[]];
  /**
   * What a model must have been trained for: diffusion (diffusers lets these schedulers replace each other), few-step
   * distillation (also used with the configuration of any diffusion model), EDM's preconditioning, or a rectified flow.
   */
  readonly follows: 'diffusion' | 'distilled' | 'edm' | 'flow';
}

/** Names of every class. */
export const schedulerNames: Readonly<Record<SchedulerName, Naming>> = {
  DDIMScheduler: { short: ['ddim'], follows: 'diffusion' },
  DDPMScheduler: { short: ['ddpm'], follows: 'diffusion' },
  DEISMultistepScheduler: { short: ['deis'], follows: 'diffusion' },
  DPMSolverMultistepScheduler: {
    short: ['dpm++', 'dpmpp', 'dpm++_2m', 'dpmpp_2m', 'dpm_solver_multistep'],
    follows: 'diffusion',
  },
  DPMSolverSDEScheduler: { short: ['dpm++_sde', 'dpmpp_sde'], follows: 'diffusion' },
  DPMSolverSinglestepScheduler: {
    short: ['dpm++_2s', 'dpmpp_2s', 'dpm++_2s_a', 'dpmpp_2s_ancestral', 'dpm_solver_singlestep'],
    follows: 'diffusion',
  },
  EDMDPMSolverMultistepScheduler: { short: ['edm_dpm++', 'edm_dpmpp_2m', 'edm_dpm++_2m'], follows: 'edm' },
  EDMEulerScheduler: { short: ['edm_euler', 'edm'], follows: 'edm' },
  EulerAncestralDiscreteScheduler: { short: ['euler_a', 'euler_ancestral'], follows: 'diffusion' },
  EulerDiscreteScheduler: { short: ['euler'], follows: 'diffusion' },
  FlowMatchEulerDiscreteScheduler: { short: ['flow_euler', 'flow_match_euler'], follows: 'flow' },
  HeunDiscreteScheduler: { short: ['heun'], follows: 'diffusion' },
  KDPM2AncestralDiscreteScheduler: {
    short: ['dpm2_a', 'kdpm2_a', 'kdpm2_ancestral', 'dpm2_ancestral', 'dpm_2_ancestral'],
    follows: 'diffusion',
  },
  KDPM2DiscreteScheduler: { short: ['dpm2', 'kdpm2', 'dpm_2'], follows: 'diffusion' },
  LCMScheduler: { short: ['lcm'], follows: 'distilled' },
  LMSDiscreteScheduler: { short: ['lms'], follows: 'diffusion' },
  PNDMScheduler: { short: ['pndm', 'plms'], follows: 'diffusion' },
  TCDScheduler: { short: ['tcd'], follows: 'distilled' },
  UniPCMultistepScheduler: { short: ['unipc', 'uni_pc'], follows: 'diffusion' },
};

/** Every class, in alphabetical order. */
export function allSchedulers(): SchedulerName[] {
  return Object.keys(schedulerNames).filter(isSchedulerName);
}

/** Whether a text is the name of a class. */
export function isSchedulerName(name: unknown): name is SchedulerName {
  return typeof name === 'string' && Object.hasOwn(schedulerNames, name);
}

/** A class's short name, as lists show it: `euler_a`. */
export function shortName(name: SchedulerName): string {
  return schedulerNames[name].short[0];
}

/**
 * Finds a class by its name with or without `Scheduler`, or by a short name, in any case, with `-`, space or `_`.
 * Throws `RequestError` with all short names when there is none.
 *
 * @example
 * schedulerCalled('Euler a'); // 'EulerAncestralDiscreteScheduler'
 */
export function schedulerCalled(text: string): SchedulerName {
  checkArguments('schedulerCalled', { name: [text, textSchema] });
  const wanted = plain(text);
  const found = allSchedulers().find((name) =>
    [name, name.replace(/Scheduler$/, ''), ...schedulerNames[name].short].some(
      (own) => plain(own) === wanted,
    ),
  );
  if (found) return found;
  throw new RequestError({
    problem: `there is no scheduler called ${text.slice(0, 80)}.`,
    advice: `Choose from ${allSchedulers().map(shortName).join(', ')}.`,
  });
}

function plain(name: string): string {
  return name.toLowerCase().replace(/[\s_-]+/g, '');
}

/**
 * Classes that can replace `name` for the same model, without `name` itself: diffusers' `compatibles`, and the classes
 * for few-step distilled models, which people use in place of any of these.
 */
export function compatibleSchedulers(name: SchedulerName): SchedulerName[] {
  checkArguments('compatibleSchedulers', { name: [name, z.enum(allSchedulers())] });
  const kind = (each: SchedulerName) => schedulerNames[each].follows.replace('distilled', 'diffusion');
  return allSchedulers().filter((each) => each !== name && kind(each) === kind(name));
}
