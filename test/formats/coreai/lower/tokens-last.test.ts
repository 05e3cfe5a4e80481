import { describe, expect, test } from 'vitest';
import { withTokensLast } from '../../../../src/formats/coreai/lower/tokens-last.ts';
import { verifyGraph } from '../../../../src/graph/verify.ts';
import { recorded, recordedNetworks } from '../../../support/recorded-networks.ts';

const networks = recordedNetworks(recorded);

// What the graphs give as they are (test/convert): 112 dB and more.
describe('with its tokens last a network computes what diffusers computes', () => {
  test.each([
    ['sd15-wide', 'unet'],
    ['sd21', 'unet'],
    ['sdxl', 'text_encoder_2'],
    ['sd-shapes', 'vae_decoder'],
  ] as const)('%s, %s', async (name, model) => {
    const graph = withTokensLast(networks.graph(name, model));
    verifyGraph(graph);
    const kinds = graph.tensors.map(({ op }) => op.kind);
    expect(kinds.filter((kind) => kind === 'linear').length).toBeGreaterThan(3);
    expect(await networks.agreement(name, model, graph)).toBeGreaterThan(112);
  });

  test.each(['SPLIT_EINSUM', 'SPLIT_EINSUM_V2'] as const)(
    '%s, which it does not change',
    async (attention) => {
      const sizes = { latentHeight: 16, latentWidth: 16 };
      const graph = withTokensLast(networks.graph('sd15-wide', 'unet', attention, sizes));
      verifyGraph(graph);
    },
  );
});
