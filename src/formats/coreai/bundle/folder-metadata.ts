import type { Checkpoint } from '../../../checkpoint/checkpoint.ts';
import { CLIP_TOKENS } from '../../../convert/config/clip-text-config.ts';
import type { Sizes } from '../../../convert/contracts/contract.ts';
import { ownSizes } from '../../../convert/networks/denoiser-sizes.ts';
import { PIXELS } from '../../../convert/networks/latents.ts';
import { type NetworkKind, networkKind } from '../../../convert/networks/networks.ts';
import { traitsOf } from '../../../convert/traits.ts';
import { asName } from '../../../io/error-text.ts';
import type { JsonObject } from '../../../io/json/python-json.ts';
import { inRepository } from '../../../version.ts';
import { parsePath } from '../../artifact-id.ts';
import type { PipelineSettings } from '../../pipeline-settings.ts';
import { coreAiSchedulers } from '../apple-folder.ts';
import { padsWithZero } from '../contract/text-encoders.ts';

/** What models may predict for them. */
export const predictions = ['epsilon', 'v_prediction'] as const;

/** The only betas that these schedulers know. */
export const BETA_SCHEDULE = 'scaled_linear';

/** What is told of a folder of assets. */
export interface CoreAiFolder {
  readonly checkpoint: Checkpoint;
  /** File names of the assets in it. */
  readonly assets: readonly string[];
  readonly settings: PipelineSettings;
  /** Those that the user fixed. */
  readonly sizes: Sizes;
}

/** The `metadata.json` by which Apple's pipelines load a folder, in version 0.2 of its schema (PipelineDescriptor.swift). */
export function folderMetadata({ checkpoint, assets, settings, sizes }: CoreAiFolder): JsonObject {
  const { isXl } = traitsOf(checkpoint);
  const { latentHeight } = { ...ownSizes(checkpoint), ...sizes };
  const { factor, shift } = settings.latentScale ?? {};
  return {
    metadata_version: '0.2',
    kind: 'diffusion',
    name: checkpoint.name,
    assets: Object.fromEntries(assets.map((file) => [keyOf(file), file])),
    diffusion: {
      type: isXl ? 'stable-diffusion-xl' : 'stable-diffusion',
      prediction_type: settings.scheduler?.prediction_type ?? 'epsilon',
      ...(latentHeight !== undefined && { image_size: latentHeight * PIXELS }),
      ...(settings.scheduler && { scheduler: betasOf(settings.scheduler) }),
      ...(factor !== undefined && {
        encoder_scale_factor: factor,
        decoder_scale_factor: factor,
        decoder_shift_factor: shift,
      }),
    },
  };
}

/** Key of an asset: that of Apple's exporter for a network; of several ControlNets each has its own name. */
function keyOf(file: string): string {
  const { network, whole } = parsePath(file);
  const isNetwork = network && networkKind(network) !== 'controlnet';
  return isNetwork ? network.replaceAll('-', '_') : whole;
}

/**
 * Whether Apple's pipelines refuse what a scheduler says, or draw other pictures by it. Their `metadata.json` says it all the
 * same: without it they would draw wrong ones, and nothing would tell.
 */
export function isRefused(scheduler: JsonObject): boolean {
  const { prediction_type: prediction = 'epsilon' } = scheduler;
  return (
    betasOf(scheduler).beta_schedule !== BETA_SCHEDULE || !predictions.some((known) => known === prediction)
  );
}

/** What a scheduler says of the noise; diffusers' defaults where it says nothing. */
function betasOf({ num_train_timesteps, beta_start, beta_end, beta_schedule }: JsonObject): JsonObject {
  return {
    training_steps: num_train_timesteps ?? 1000,
    beta_start: beta_start ?? 0.0001,
    beta_end: beta_end ?? 0.02,
    beta_schedule: beta_schedule ?? 'linear',
  };
}

/** What Apple's pipelines do otherwise than diffusers, or cannot do with these models, a sentence each. */
export function folderNotes({ checkpoint, assets, settings, sizes }: CoreAiFolder): string[] {
  const { latentHeight, latentWidth } = { ...ownSizes(checkpoint), ...sizes };
  const own = ownSwift(checkpoint, assets);
  return [
    ...(settings.scheduler ? schedulerNotes(settings.scheduler) : []),
    ...paddingNotes(checkpoint, settings.padding),
    ...(settings.latentScale && settings.latentScale.shift !== 0
      ? ['Apple’s Core AI pipelines do not shift latents, as this VAE needs: their colours differ.']
      : []),
    ...(latentHeight !== latentWidth
      ? ['Apple’s Core AI pipelines draw squares alone: other sizes need Swift of your own.']
      : []),
    ...((sizes.textTokens ?? CLIP_TOKENS) !== CLIP_TOKENS
      ? [`Apple’s Core AI pipelines pass ${CLIP_TOKENS} tokens: other numbers need Swift of your own.`]
      : []),
    ...(own.length > 0
      ? [
          `Apple’s Core AI pipelines do not draw with ${own.join(', ')}; what Swift of your own passes in: ${inRepository('docs/core-ai.md')}`,
        ]
      : []),
  ];
}

function schedulerNotes(scheduler: JsonObject): string[] {
  const { _class_name: name, prediction_type: prediction = 'epsilon', rescale_betas_zero_snr } = scheduler;
  const { beta_schedule: betas } = betasOf(scheduler);
  return [
    ...(typeof name === 'string' && !coreAiSchedulers.some((known) => known === name)
      ? [`Apple’s Core AI pipelines have no ${name}: they draw with DPM-Solver++ or PNDM.`]
      : []),
    ...(betas !== BETA_SCHEDULE
      ? [
          `Apple’s Core AI pipelines have ${BETA_SCHEDULE} betas alone, not ${asName(betas)}: their pictures differ.`,
        ]
      : []),
    ...(rescale_betas_zero_snr === true
      ? ['Apple’s Core AI pipelines do not rescale betas to zero terminal SNR: their pictures differ.']
      : []),
    ...(prediction === 'v_prediction'
      ? [
          'This model predicts v: draw with DPM-Solver++, for the PNDM of Apple’s Core AI pipelines takes it for noise.',
        ]
      : []),
    ...(!predictions.some((known) => known === prediction)
      ? [`Apple’s Core AI pipelines refuse models that predict ${asName(prediction)}.`]
      : []),
  ];
}

/** A text encoder pads prompts itself, as its family was trained; a tokenizer may say otherwise. */
function paddingNotes(checkpoint: Checkpoint, padding: PipelineSettings['padding'] = {}): string[] {
  const tokenizers = { text_encoder: 'tokenizer', text_encoder_2: 'tokenizer_2' };
  return Object.entries(tokenizers).flatMap(([encoder, tokenizer]) => {
    const [component, token] = [checkpoint.components.get(encoder), padding[tokenizer]];
    if (!component || token === undefined) return [];
    const own = padsWithZero(checkpoint, component) ? '!' : '<|endoftext|>';
    return token === own
      ? []
      : [
          `the ${tokenizer} pads with ${token}, and the ${encoder} for Core AI is padded with ${own}: pictures differ.`,
        ];
  });
}

/** Networks that Apple's pipelines have no use for. */
const unused: { readonly [K in NetworkKind]?: string } = {
  'control-unet': 'a UNet that takes residuals',
  controlnet: 'ControlNets',
  refiner: 'a refiner',
  safety_checker: 'a safety checker',
};

/** What needs Swift of its own. */
function ownSwift({ family, kind }: Checkpoint, assets: readonly string[]): string[] {
  const kinds = new Set(assets.flatMap((file) => parsePath(file).network ?? []).map(networkKind));
  const special = kinds.has('unet') && kind !== undefined && kind !== 'base';
  const isRefiner = kinds.has('unet') && family === 'sdxl-refiner';
  if (isRefiner) kinds.add('refiner'); // alone, it has the name of any UNet
  return [...(special ? [`a UNet for ${kind}`] : []), ...[...kinds].flatMap((each) => unused[each] ?? [])];
}
