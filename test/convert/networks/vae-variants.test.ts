import { expect, test } from 'vitest';
import { latentScaleOf } from '../../../src/convert/networks/vae-variants.ts';
import { ConfigError } from '../../../src/errors.ts';
import { thrownBy } from '../../support/thrown-by.ts';

test('latents are scaled as the config says, or as diffusers does by default', () => {
  const config = { scaling_factor: 0.36, shift_factor: 0.12 };
  expect(latentScaleOf({ config })).toEqual({ factor: 0.36, shift: 0.12 });
  expect(latentScaleOf({ config: {} })).toEqual({ factor: 0.18215, shift: 0 });
});

test.each([0, -1, 1e308, Number.NaN, Number.POSITIVE_INFINITY])(
  'a scaling_factor of %d is refused: pictures would be of nothing',
  (factor) => {
    const error = thrownBy(() => latentScaleOf({ config: { scaling_factor: factor } }));
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.problem).toContain(`sets scaling_factor to ${factor}`);
  },
);

test('so is a shift_factor that no latents have', () => {
  expect(() => latentScaleOf({ config: { shift_factor: -1e9 } })).toThrow('sets shift_factor to -1000000000');
});
