import { multiplyDims } from '../../graph/dim.ts';
import type { Tensor } from '../../graph/tensor.ts';
import { controlnetConfig } from '../config/controlnet-config.ts';
import { controlnet } from '../controlnet.ts';
import { networkCard } from './card.ts';
import { denoiserInputs, dims, type Inputs, inputs, order, residuals, settings } from './denoiser.ts';
import { denoiserCases } from './denoiser-cases.ts';
import { denoiserSizes, ownSizes } from './denoiser-sizes.ts';
import { picture, zeroToOne } from './realistic.ts';

interface ControlNetInputs extends Inputs {
  readonly controlnet_cond: Tensor;
}

/** A ControlNet: turns a conditioning picture into residuals for a UNet. */
export const controlnetCard = networkCard({
  component: 'controlnet',
  part: 'controlnet',
  title: 'the ControlNet',
  shortDescription:
    'Turns a picture of what is wanted (edges, depth, a pose) into what a UNet is to add to its own values (https://arxiv.org/abs/2302.05543).',
  swiftName: null,
  fewerBits: true,
  marks: ['controlnet_cond'],
  settings,
  ignored: () => [],
  order,
  inputs: {
    ...inputs,
    controlnet_cond: {
      optimum: 'controlnet_cond',
      apple: 'controlnet_cond',
      axes: ['batch', 'colours', 'height', 'width'],
      text: 'The picture to go by: red, green and blue from 0 to 1',
    },
  },
  outputs: {
    residuals: {
      ...residuals('res_sample'),
      text: 'To be added to what the UNet keeps at this place on its way down',
    },
  },
  read: controlnetConfig,
  sizes: (config, options, checkpoint) => denoiserSizes('ControlNet', config, options, ownSizes(checkpoint)),
  dims(config, options) {
    const own = dims(config, options);
    const factor = 2 ** (config.conditioning_embedding_out_channels.length - 1);
    return {
      ...own,
      colours: config.conditioning_channels,
      height: multiplyDims([own.latentHeight, factor]),
      width: multiplyDims([own.latentWidth, factor]),
    };
  },
  forward: (at, { controlnet_cond, ...given }: ControlNetInputs, config, { attention }) => ({
    residuals: controlnet(at, { ...denoiserInputs(given), controlnet_cond }, config, attention),
  }),
  cases(rng, sizes, _settings, prompts) {
    const { batch, colours, height, width } = sizes;
    return denoiserCases(rng, sizes, prompts, () => [
      ['controlnet_cond', zeroToOne(picture(rng, [batch, colours, height, width]))],
    ]);
  },
});
