import { basename } from 'node:path';
import { kindByChannels, kindTitles } from '../family.ts';
import { otherAdapters } from '../lora/lora-key.ts';
import {
  alteredModels,
  type KnownModel,
  otherDenoisers,
  otherEncoders,
  otherFiles,
  type Recognized,
  useVaeFolder,
} from './other-models.ts';
import { type FoundPart, plainName, type Shapes, type Survey, survey } from './survey.ts';

/** What a weight file can be: something to open, something that goes with a checkpoint, or nothing that is converted. */
export type WeightsKind =
  | 'checkpoint'
  | 'unet'
  | 'vae'
  | 'text encoder'
  | 'controlnet'
  | 'lora'
  | 'textual inversion'
  | 'unsupported';

/** A weight file, and what to do with it. */
export interface RecognizedWeights extends Recognized {
  readonly kind: WeightsKind;
}

const useCheckpoint =
  'Give the checkpoint that it belongs to: a single file, or the folder that holds model_index.json.';

const kinds = {
  checkpoint: { kind: 'checkpoint', what: 'a checkpoint in a single file', advice: 'Convert it.' },
  unet: {
    kind: 'unet',
    what: 'a UNet alone',
    advice: 'Convert it alone, or give the whole checkpoint.',
  },
  vae: {
    kind: 'vae',
    what: 'a VAE alone',
    advice: 'Convert it alone, or name the checkpoint that it is for, and this with --custom-vae-version.',
  },
  text: { kind: 'text encoder', what: 'a text encoder alone', advice: useCheckpoint },
  controlnet: {
    kind: 'controlnet',
    what: 'a ControlNet alone',
    advice: 'Name the checkpoint that it was made for, and this with --convert-controlnet.',
  },
  controlLora: {
    kind: 'controlnet',
    what: 'a Control-LoRA, which its base’s UNet completes',
    advice: 'Name the checkpoint that it was made for, and this with --convert-controlnet.',
  },
  differenceControlNet: {
    kind: 'controlnet',
    what: 'the difference of a ControlNet to its base’s UNet',
    advice: 'Name the checkpoint that it was made for, and this with --convert-controlnet.',
  },
  lora: {
    kind: 'lora',
    what: 'a LoRA, not a checkpoint',
    advice:
      'A LoRA changes a checkpoint: name the checkpoint that it was trained for, and this file with --lora FILE:1.',
  },
  inversion: {
    kind: 'textual inversion',
    what: 'a textual inversion, not a checkpoint',
    advice: useCheckpoint,
  },
  safetyChecker: { kind: 'unsupported', what: 'a safety checker alone', advice: useCheckpoint },
  pooled: {
    kind: 'unsupported',
    what: 'a ControlNet whose results are averaged over the picture (shuffle), which is not supported',
    advice: 'Use a ControlNet for another kind of picture.',
  },
  otherVae: {
    kind: 'unsupported',
    what: 'a VAE of another family (Stable Diffusion 3 or Flux, perhaps), which is not supported',
    advice: 'Use a VAE of Stable Diffusion 1.x, 2.x or XL.',
  },
  tinyVae: {
    kind: 'unsupported',
    what: 'a tiny autoencoder (TAESD) alone',
    advice: useVaeFolder,
  },
} as const satisfies Readonly<Record<string, RecognizedWeights>>;

/** A ControlNet that is told to be pooled by what lies beside it. */
export const pooledControlNet: RecognizedWeights = kinds.pooled;

/** Everything that a file of weights can be called. */
export const knownWeightFiles: readonly RecognizedWeights[] = [
  ...Object.values(kinds),
  ...otherAdapters.map(([, name]) => otherAdapter(name)),
  ...[...alteredModels, ...otherDenoisers, ...otherFiles, ...otherEncoders].map(refused),
];

/**
 * What a single weight file is, told from its tensors' names and shapes; `undefined` when they fit nothing known. The one
 * place that decides it, for every command. `path` helps where names do not tell.
 */
export function recognizeWeights(shapes: Shapes, path = ''): RecognizedWeights | undefined {
  const found = survey(shapes);
  const changes = new Set(found.adapters);
  const all = [...shapes.keys()];
  const names = all.filter((name) => !changes.has(name)).map(plainName);
  return (
    alteredNetwork(found, names, shapes, path) ??
    (found.parts.has('unet') ? undefined : first(otherDenoisers, names)) ??
    otherVae(found, shapes) ??
    stableDiffusion(found, shapes) ??
    first(otherFiles, names) ??
    adapter(found, all) ??
    loneNetwork(found, names, shapes) ??
    first(otherEncoders, names)
  );
}

/** What has the marks of a network of Stable Diffusion and is another one. */
function alteredNetwork(
  { parts }: Survey,
  names: readonly string[],
  shapes: Shapes,
  path: string,
): RecognizedWeights | undefined {
  const altered = first(alteredModels, names);
  if (altered) return altered;
  if (parts.has('controlnet') && !parts.has('unet') && /shuffle/i.test(basename(path))) return kinds.pooled;
  const unet = parts.get('unet');
  return unet && otherUnet(readChannels(unet, shapes));
}

/** A VAE alone whose latents are those of another family, or of videos. */
function otherVae({ parts }: Survey, shapes: Shapes): RecognizedWeights | undefined {
  if (!parts.has('vae') || parts.has('unet')) return undefined;
  const latents = shapeEnding(shapes, /(^|\.)decoder\.conv_in\.weight$/);
  return latents && (latents.length !== 4 || latents[1] !== 4) ? kinds.otherVae : undefined;
}

/** How many channels a UNet's first convolution reads; `undefined` where the file lacks it. */
function readChannels({ prefix }: FoundPart, shapes: Shapes): number | undefined {
  const names = ['input_blocks.0.0.weight', 'conv_in.weight'].map((name) => prefix + name);
  for (const [name, { shape }] of shapes) if (names.includes(plainName(name))) return shape[1];
  return undefined;
}

/** A UNet that reads more than latents, a mask and a picture. */
function otherUnet(channels: number | undefined): RecognizedWeights | undefined {
  const kind = channels === undefined ? 'base' : kindByChannels(channels);
  if (kind && kind !== 'depth') return undefined;
  const isUpscaler = channels === 7; // a small picture beside the latents
  const model = kind ? `a model for ${kindTitles[kind]}` : isUpscaler ? 'an upscaling model' : 'of a kind';
  return {
    kind: 'unsupported',
    what: isUpscaler ? `${model}, which is not supported` : `${model} that is not supported`,
    advice: 'Use a checkpoint for text to image, inpainting or pix2pix.',
  };
}

/** A whole checkpoint, its UNet alone, or a ControlNet. */
function stableDiffusion({ parts }: Survey, shapes: Shapes): RecognizedWeights | undefined {
  const unet = parts.get('unet');
  if (unet) return parts.size > 1 || unet.prefix !== '' ? kinds.checkpoint : kinds.unet;
  if (parts.has('controlnet')) {
    if (shapes.has('lora_controlnet')) return kinds.controlLora;
    return shapes.has('difference') ? kinds.differenceControlNet : kinds.controlnet;
  }
  const hasText = parts.has('text_encoder') || parts.has('text_encoder_2');
  const isInCheckpoint = [...shapes.keys()].some((name) =>
    /^(model\.diffusion_model|cond_stage_model|conditioner\.embedders)\./.test(name),
  );
  return isInCheckpoint || (hasText && parts.has('vae')) ? kinds.checkpoint : undefined;
}

/** A LoRA, and what comes in files like one. */
function adapter({ adapters, parts }: Survey, names: readonly string[]): RecognizedWeights | undefined {
  if (parts.size > 0) return undefined;
  const other = otherAdapters.find(([tensor]) => names.some((name) => tensor.test(name)));
  if (other) return otherAdapter(other[1]);
  return adapters.length > 0 ? kinds.lora : undefined;
}

/** One network that is none of a UNet. */
function loneNetwork(
  { parts }: Survey,
  names: readonly string[],
  shapes: Shapes,
): RecognizedWeights | undefined {
  const has = (pattern: RegExp): boolean => names.some((name) => pattern.test(name));
  if (has(/^concept_embeds$/)) return kinds.safetyChecker;
  if (parts.has('vae') || has(/^((first_stage_model|vae)\.)?(encoder|decoder)\.conv_in\./)) return kinds.vae;
  if (has(/^((en|de)coder\.)?(layers\.)?\d+\.conv\.0\.weight$/)) return kinds.tinyVae;
  if (parts.size > 0) return kinds.text;
  return has(/^(emb_params|clip_[lg]|string_to_param|string_to_token)$|^string_to_param\./) ||
    isEmbedding(shapes)
    ? kinds.inversion
    : undefined;
}

/** A textual inversion as diffusers saves it: one tensor, called by its token. */
function isEmbedding(shapes: Shapes): boolean {
  const [only, ...others] = shapes;
  if (!only || others.length > 0) return false;
  const [name, { shape }] = only;
  return /^<.+>$/.test(name) && shape.length <= 2;
}

function otherAdapter(name: string): RecognizedWeights {
  return {
    kind: 'unsupported',
    what: `${name}, which is not merged`,
    advice: 'Use a LoRA, LoHa or LoKr, or merge it with the program that it was made for.',
  };
}

function first(models: readonly KnownModel[], names: readonly string[]): RecognizedWeights | undefined {
  const found = models.find(({ names: patterns }) =>
    [patterns].flat().every((pattern) => names.some((name) => pattern.test(name))),
  );
  return found && refused(found);
}

function refused({ what, advice }: KnownModel): RecognizedWeights {
  return { kind: 'unsupported', what, advice };
}

function shapeEnding(shapes: Shapes, name: RegExp): readonly number[] | undefined {
  for (const [each, { shape }] of shapes) if (name.test(each)) return shape;
  return undefined;
}
