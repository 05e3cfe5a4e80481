import { expect, test } from 'vitest';
import { baseTimesteps, refinerTimesteps, timestepsLeft } from '../../../src/generate/pipelines/timesteps.ts';
import { createScheduler } from '../../../src/generate/schedulers/create-scheduler.ts';

const config = { beta_start: 0.00085, beta_end: 0.012, beta_schedule: 'scaled_linear' };

test.each([
  [1, 10],
  [0.5, 5],
  [0.49, 4], // whole steps only
  [0.1, 1],
])('a strength of %d leaves %d of 10 steps, the last ones', (strength, count) => {
  const scheduler = createScheduler({ ...config, _class_name: 'DDIMScheduler' });
  scheduler.setTimesteps(10);
  expect(timestepsLeft(scheduler, 10, strength)).toEqual(scheduler.timesteps.slice(-count));
});

test('a scheduler that runs the model twice in a step skips both', () => {
  const scheduler = createScheduler({ ...config, _class_name: 'HeunDiscreteScheduler' });
  scheduler.setTimesteps(10);
  expect(scheduler.stages).toBe(2);
  expect(timestepsLeft(scheduler, 10, 0.5)).toEqual(scheduler.timesteps.slice(10));
});

test.each([0, -1, 1.05, 1.5, 0.05, Number.NaN])('a strength of %d is refused', (strength) => {
  const scheduler = createScheduler({ ...config, _class_name: 'DDIMScheduler' });
  scheduler.setTimesteps(10);
  expect(() => timestepsLeft(scheduler, 10, strength)).toThrow(
    `a strength of ${strength} leaves none of the 10 steps to run.`,
  );
});

test.each([
  ['EulerDiscreteScheduler', 0.8],
  ['EulerDiscreteScheduler', 0.5],
  ['HeunDiscreteScheduler', 0.6],
])('base and refiner share the timesteps of %s at %d', (_class_name, refinerStart) => {
  const scheduler = createScheduler({ ...config, _class_name });
  scheduler.setTimesteps(10);
  const split = { refinerStart, trainSteps: 1000 };
  const [base, refiner] = [baseTimesteps(scheduler.timesteps, split), refinerTimesteps(scheduler, split)];
  const takeOver = 1000 * (1 - refinerStart);
  expect(Math.min(...base)).toBeGreaterThanOrEqual(takeOver);
  expect(refiner).toEqual(scheduler.timesteps.slice(-refiner.length));
  // A whole step: of two stages, the first timestep stands alone.
  expect((scheduler.timesteps.length - refiner.length) % scheduler.stages).toBe(0);
  expect(base.length + refiner.length - scheduler.timesteps.length).toBeLessThan(scheduler.stages);
});

test('a strength that leaves no step is refused of PNDM, too, which has one timestep more', () => {
  const scheduler = createScheduler({ ...config, _class_name: 'PNDMScheduler', skip_prk_steps: true });
  scheduler.setTimesteps(10);
  expect(scheduler.timesteps).toHaveLength(11);
  expect(() => timestepsLeft(scheduler, 10, 0.05)).toThrow('leaves none of the 10 steps');
  expect(timestepsLeft(scheduler, 10, 0.1)).toHaveLength(2);
});
