import type { Checkpoint } from '../../checkpoint/checkpoint.ts';
import { ConfigError } from '../../errors.ts';
import type { Tensor } from '../../graph/tensor.ts';
import type { TensorData } from '../../weights/tensor-data.ts';
import { type UNetConfig, unetConfig } from '../config/unet-config.ts';
import { unet } from '../unet.ts';
import { type Definition, networkCard, type Port } from './card.ts';
import {
  denoiserInputs,
  dims,
  type Inputs,
  inputs,
  order,
  type ResidualInputs,
  residuals,
  settings,
} from './denoiser.ts';
import { denoiserCases } from './denoiser-cases.ts';
import { denoiserSizes, ownSizes } from './denoiser-sizes.ts';
import { normal } from './realistic.ts';

interface ControlledInputs extends Inputs {
  readonly residuals: ResidualInputs;
}

/** Standard deviation of realistic residuals: small beside the values that they are added to. */
const RESIDUALS = 0.1;

const outputs = {
  noise: { optimum: 'out_sample', apple: 'noise_pred', text: 'The noise found in sample, in its shape' },
} as const satisfies Record<string, Port>;

/** Number of a refiner's time_ids; the base UNet has 6. */
const REFINER_TIME_IDS = 5;

/** Throws `ConfigError` where the sizes of the added conditions leave another width to the text than its encoder gives. */
function checkPooledText({ added }: UNetConfig, { components }: Checkpoint): void {
  const given = components.get('text_encoder_2')?.weights.get('text_projection.weight')?.shape[0];
  if (!added || given === undefined || given === added.text) return;
  const refiner = added.ids === REFINER_TIME_IDS ? components.get('refiner') : undefined;
  const unet = refiner ?? components.get('unet');
  throw new ConfigError({
    problem: `the UNet and the second text encoder contradict each other: beside ${added.ids} time_ids of addition_time_embed_dim = ${added.channels}, the UNet takes text of ${added.text} channels, and the encoder gives ${given}.`,
    details: { file: unet?.configFile ?? 'the config of the UNet' },
    advice: 'Take both from the same checkpoint, or download the config again.',
  });
}

/** Facts that all UNets share. */
const shared = {
  part: 'unet' as const,
  shortDescription:
    'Predicts the noise in the latents of a picture: one step of Stable Diffusion (https://arxiv.org/abs/2112.10752).',
  fewerBits: true,
  settings,
  ignored: () => [],
  order,
  inputs,
  outputs,
  read: unetConfig,
  sizes(config, options, checkpoint) {
    checkPooledText(config, checkpoint);
    const [latentHeight, latentWidth] = config.sample_size;
    // A refiner takes over the latents of the checkpoint's UNet, so it has their size.
    return denoiserSizes('UNet', config, options, { latentHeight, latentWidth, ...ownSizes(checkpoint) });
  },
  dims: (config, options) => ({
    ...dims(config, options, config.sample_size),
    guidanceChannels: config.time_cond_proj_dim ?? undefined,
  }),
  forward: (at, given, config, { attention }) => ({
    noise: unet(at, denoiserInputs(given), config, attention),
  }),
  cases: (rng, sizes, _settings, prompts) => denoiserCases(rng, sizes, prompts),
} satisfies Partial<Definition<UNetConfig, Inputs, { readonly noise: Tensor }, string>>;

/** The UNet: one step from noise to a picture. */
export const unetCard = networkCard({
  ...shared,
  component: 'unet',
  title: 'the UNet',
  swiftName: 'Unet',
  marks: ['timestep'],
});

/** The UNet that takes a ControlNet's residuals. */
export const controlUnet = networkCard({
  ...shared,
  component: 'unet',
  title: 'the UNet',
  swiftName: 'ControlledUnet',
  marks: ['mid_block_additional_residual', 'additional_residual_0'],
  inputs: { ...inputs, residuals: { ...residuals('additional_residual'), axes: [], text: null } },
  forward: (at, { residuals, ...given }: ControlledInputs, config, { attention }) => ({
    noise: unet(at, { ...denoiserInputs(given), residuals }, config, attention),
  }),
  cases: (rng, sizes, _settings, prompts) =>
    denoiserCases(rng, sizes, prompts, () =>
      [...(sizes.residuals ?? [])].map(([name, shape]): [string, TensorData] => [
        name,
        normal(rng, shape, RESIDUALS),
      ]),
    ),
});

/** Stable Diffusion XL's second UNet, for the last steps of denoising. */
export const refiner = networkCard({
  ...shared,
  component: 'refiner',
  title: 'the refiner’s UNet',
  swiftName: 'UnetRefiner',
  marks: ['timestep'],
  like: 'unet',
  // Its time_ids have an aesthetic score instead of the target size; Apple's Swift package checks the same.
  isUnlike: (lastDims) => lastDims.get('time_ids') === REFINER_TIME_IDS,
});
