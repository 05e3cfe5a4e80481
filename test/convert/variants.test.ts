import { describe, expect, test } from 'vitest';
import { attentionImplementations } from '../../src/convert/blocks/attention.ts';
import type { Sizes } from '../../src/convert/contracts/contract.ts';
import type { NetworkName } from '../../src/convert/networks/networks.ts';
import { type Recorded, recordedNetworks } from '../support/recorded-networks.ts';

/** Very small networks of kinds that differ from the common ones (test/goldens/README.md). */
const kinds = [
  'lcm',
  'inpainting',
  'pix2pix',
  'small-middle',
  'no-middle',
  'controlnet-xl',
  'ssd-1b',
  'koala',
  'uneven',
] as const;

// as: Object.fromEntries forgets which keys there are.
const table = Object.fromEntries(
  kinds.map((kind): [string, Recorded] => [
    kind,
    { path: `test/fixtures/variants/${kind}`, goldens: `test/goldens/variants/${kind}`, rounding: '' },
  ]),
) as Record<(typeof kinds)[number], Recorded>;

const networks = recordedNetworks(table);

describe.each(kinds)('%s', (kind) => {
  const model: NetworkName = kind === 'controlnet-xl' ? 'controlnet' : 'unet';
  const floor = kind === 'uneven' ? 110 : 118; // 118.8, and 126.4 at least
  const recordedSizes =
    model === 'controlnet' ? { latentHeight: 8, latentWidth: 6 } : { latentHeight: 32, latentWidth: 24 };

  test.each(attentionImplementations)('with attention %s it gives diffusers’ numbers', async (attention) => {
    const sizes: Sizes = attention === 'SPLIT_EINSUM_V2' ? recordedSizes : {};
    const graph = networks.graph(kind, model, attention, sizes);
    expect(await networks.agreement(kind, model, graph)).toBeGreaterThan(floor);
  });

  test('so does its Core ML package', async () => {
    const options = { attention: 'SPLIT_EINSUM_V2', precision: 'float32' } as const;
    expect(await networks.coreMlAgreement(kind, model, options)).toBeGreaterThan(floor);
  });
});
