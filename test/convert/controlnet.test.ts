import { expect, test } from 'vitest';
import { mutant, recordedNetworks } from '../support/recorded-networks.ts';

const networks = recordedNetworks({
  'controlnet-sd15': {
    path: 'test/fixtures/sd15-wide-f16',
    controlnet: 'test/fixtures/controlnet-sd15',
    goldens: 'test/goldens/controlnet-sd15',
    rounding: '',
  },
});

test('a ControlNet gives diffusers’ residuals to 111 dB', async () => {
  const graph = networks.graph('controlnet-sd15', 'controlnet');
  expect(await networks.agreement('controlnet-sd15', 'controlnet', graph)).toBeGreaterThan(111); // 119.6
});

test('so does its Core ML package', async () => {
  const options = { attention: 'SPLIT_EINSUM', precision: 'float32' } as const;
  expect(await networks.coreMlAgreement('controlnet-sd15', 'controlnet', options)).toBeGreaterThan(111); // 118.9
});

test('the floor is tight: with a mistaken epsilon, residuals fall below it', async () => {
  const wrong = mutant(networks.graph('controlnet-sd15', 'controlnet'), (op) =>
    op.kind === 'group_norm' && op.epsilon === 1e-5 ? { ...op, epsilon: 1e-6 } : op,
  );
  expect(await networks.agreement('controlnet-sd15', 'controlnet', wrong)).toBeLessThan(111); // 99.6
});
