import { expect, test } from 'vitest';
import type { AttentionImplementation } from '../../../../src/convert/blocks/attention.ts';
import { appleContract } from '../../../../src/convert/contracts/apple.ts';
import { convert } from '../../../../src/convert/convert.ts';
import type { NetworkName } from '../../../../src/convert/networks/networks.ts';
import { buildCoreMl } from '../../../../src/formats/coreml/build/build-model.ts';
import { describeModel } from '../../../../src/formats/coreml/build/describe-model.ts';
import { packageFiles } from '../../../../src/formats/coreml/package/package.ts';
import type { Graph } from '../../../../src/graph/graph.ts';
import { withPrecision } from '../../../../src/quantize/precision.ts';
import { fullSizeCheckpoint } from '../../../support/full-size.ts';
import { blockOf } from '../written-form.ts';

const sizes = { latentHeight: 64, latentWidth: 64 };

test.each([
  ['text_encoder', 123.06],
  ['unet', 859.52],
  ['vae_decoder', 49.49],
  ['vae_encoder', 34.16],
] as const)(
  'the %s of Stable Diffusion 1.5 has its %d million weights in the file and little else',
  (name, millions) => {
    const description = describeModel(name, 'sd15', { license: 'OpenRAIL' });
    const options = { target: 'macOS13', description } as const;
    const files = packageFiles(buildCoreMl(float16(name, 'ORIGINAL'), options));
    const [manifest = 0, model = 0, weights = 0] = files.map(({ byteLength }) => byteLength);
    expect(weights / 2e6).toBeGreaterThan(millions - 0.005);
    expect(weights / 2e6).toBeLessThan(millions * 1.001);
    expect(model).toBeLessThan(1_000_000);
    expect(manifest).toBeLessThan(1000);
  },
);

test('apps tell the attention of a UNet by its operations: einsums, or none', () => {
  const count = (attention: AttentionImplementation) =>
    blockOf(float16('unet', attention)).operations.filter(({ type }) => type === 'einsum').length;
  expect(count('ORIGINAL')).toBe(0);
  // 32 attentions of 8 heads, two products each
  expect(count('SPLIT_EINSUM')).toBe(512);
  // 10 attentions have 4096 queries, in 8 chunks; 10 have 1024, in 2; 12 have fewer than 512
  expect(count('SPLIT_EINSUM_V2')).toBe(2 * 8 * (10 * 8 + 10 * 2 + 12));
});

test('tensors have at most five dimensions, those of the networks at most four', () => {
  for (const name of ['text_encoder', 'unet', 'vae_decoder', 'vae_encoder'] as const) {
    const ranks = blockOf(float16(name, 'SPLIT_EINSUM')).operations.flatMap(({ outputs }) =>
      outputs.map(({ type }) => type?.tensorType?.rank ?? 0),
    );
    expect(Math.max(...ranks)).toBe(4);
  }
});

function float16(name: NetworkName, attention: AttentionImplementation): Graph {
  const options = { models: [name], contract: appleContract, attention, sizes };
  const [model] = convert(fullSizeCheckpoint('sd15'), options);
  if (!model) throw new Error('nothing was built');
  return withPrecision(model.graph, 'float16');
}
