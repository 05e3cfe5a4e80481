import { expect, test } from 'vitest';
import { RequestError } from '../../../src/errors.ts';
import {
  allSchedulers,
  compatibleSchedulers,
  schedulerCalled,
  schedulerNames,
  shortName,
} from '../../../src/generate/schedulers/scheduler-names.ts';

test('a scheduler is found by what people call it', () => {
  const called: readonly [string, string][] = [
    ['euler', 'EulerDiscreteScheduler'],
    ['euler_a', 'EulerAncestralDiscreteScheduler'],
    ['Euler a', 'EulerAncestralDiscreteScheduler'],
    ['dpm++', 'DPMSolverMultistepScheduler'],
    ['dpmpp', 'DPMSolverMultistepScheduler'],
    ['DPM++ 2M', 'DPMSolverMultistepScheduler'],
    ['DPM++ SDE', 'DPMSolverSDEScheduler'],
    ['pndm', 'PNDMScheduler'],
    ['PLMS', 'PNDMScheduler'],
    ['heun', 'HeunDiscreteScheduler'],
    ['lcm', 'LCMScheduler'],
    ['unipc', 'UniPCMultistepScheduler'],
    ['ddim', 'DDIMScheduler'],
    ['LMSDiscrete', 'LMSDiscreteScheduler'],
    ['eulerdiscretescheduler', 'EulerDiscreteScheduler'],
  ];
  for (const [text, name] of called) expect(schedulerCalled(text), text).toBe(name);
});

test('every class is found by each of its names, and no name is two classes’', () => {
  for (const name of allSchedulers())
    for (const each of [name, name.replace('Scheduler', ''), ...schedulerNames[name].short])
      expect(schedulerCalled(each), each).toBe(name);
});

test('an unknown name is answered with those there are', () => {
  expect(() => schedulerCalled('dpm9')).toThrow(RequestError);
  expect(() => schedulerCalled('constructor')).toThrow(allSchedulers().map(shortName).join(', '));
});

test('schedulers are exchanged among those for the same kind of model', () => {
  expect(compatibleSchedulers('PNDMScheduler')).toHaveLength(15);
  expect(compatibleSchedulers('PNDMScheduler')).toContain('LCMScheduler');
  expect(compatibleSchedulers('EDMEulerScheduler')).toEqual(['EDMDPMSolverMultistepScheduler']);
  expect(compatibleSchedulers('FlowMatchEulerDiscreteScheduler')).toEqual([]);
});
