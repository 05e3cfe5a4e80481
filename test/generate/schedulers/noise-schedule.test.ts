import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { ConfigError, RequestError } from '../../../src/errors.ts';
import {
  cumulativeAlphas,
  spacedTimesteps,
  type TrainingNoise,
} from '../../../src/generate/schedulers/schedule/noise-schedule.ts';
import { openSafetensors } from '../../../src/weights/safetensors-file.ts';
import { readTensor } from '../../../src/weights/tensor-data.ts';

const training: TrainingNoise = {
  num_train_timesteps: 1000,
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
};

test('the cumulative alphas are those of diffusers, bit for bit', async () => {
  const golden = await openSafetensors(
    fileURLToPath(new URL('../../goldens/schedulers/_common.safetensors', import.meta.url)),
  );
  const weight = golden.weights.get('alphas_cumprod');
  if (!weight) throw new Error('the golden has no alphas_cumprod');
  const { data } = await readTensor(weight, 'f32');
  await golden.close();
  expect(cumulativeAlphas(training, false)).toEqual(data);
});

test('with zero terminal SNR the last timestep is pure noise', () => {
  const alphas = cumulativeAlphas(training, true);
  expect(alphas.at(-1)).toBe(0);
  expect(alphas[0]).toBe(cumulativeAlphas(training, false)[0]);
});

test('betas from a list are taken as they are, and refused when there are too few', () => {
  const two = { ...training, num_train_timesteps: 2 };
  expect(cumulativeAlphas({ ...two, trained_betas: [0.5, 0.25] }, false)).toEqual(
    Float32Array.of(0.5, 0.375),
  );
  expect(() => cumulativeAlphas({ ...two, trained_betas: [0.5] }, false)).toThrow(ConfigError);
});

describe('timesteps', () => {
  const range = { trainSteps: 1000, offset: 1 };

  // Table 2 of Lin et al. 2023, ten steps.
  test.each([
    ['linspace', [999, 888, 777, 666, 555, 444, 333, 222, 111, 0]],
    ['leading', [901, 801, 701, 601, 501, 401, 301, 201, 101, 1]],
    ['trailing', [999, 899, 799, 699, 599, 499, 399, 299, 199, 99]],
  ] as const)('are spaced as the paper’s table says: %s', (spacing, timesteps) => {
    expect(spacedTimesteps(spacing, 10, range)).toEqual(timesteps);
  });

  test('are as many as asked for, at any number of steps', () => {
    for (const spacing of ['linspace', 'leading', 'trailing'] as const) {
      for (let count = 1; count <= 1000; count++) {
        const timesteps = spacedTimesteps(spacing, count, range);
        expect(timesteps).toHaveLength(count);
        expect(timesteps.at(-1)).toBeGreaterThanOrEqual(0);
      }
    }
  });

  test.each([0, -1, 2.5, 1001, Number.NaN])('cannot be %d', (count) => {
    expect(() => spacedTimesteps('linspace', count, range)).toThrow(RequestError);
  });
});
