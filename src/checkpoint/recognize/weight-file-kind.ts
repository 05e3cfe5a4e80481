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

/** Kind of a weight file: one that can be opened, one that needs a checkpoint, or an unsupported one. */
export type WeightsKind =
  | 'checkpoint'
  | 'unet'
  | 'vae'
  | 'text encoder'
  | 'controlnet'
  | 'lora'
  | 'textual inversion'
  | 'unsupported';

/** Kind of a weight file, with advice. */
export interface RecognizedWeights extends Recognized {
  readonly kind: WeightsKind;
}

/** Advice for a part of a checkpoint that is given alone. */
export const useCheckpoint = 'Give its checkpoint: a single file, or the folder that holds model_index.json.';

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
    advice:
      'Convert it alone, or name its checkpoint with --model-version, and this file with --custom-vae-version.',
  },
  text: { kind: 'text encoder', what: 'a text encoder alone', advice: useCheckpoint },
  controlnet: {
    kind: 'controlnet',
    what: 'a ControlNet alone',
    advice: 'Name its checkpoint with --model-version, and this file with --convert-controlnet.',
  },
  controlLora: {
    kind: 'controlnet',
    what: 'a Control-LoRA (a ControlNet stored as a LoRA of its base’s UNet)',
    advice: 'Name its checkpoint with --model-version, and this file with --convert-controlnet.',
  },
  differenceControlNet: {
    kind: 'controlnet',
    what: 'a ControlNet stored as the difference to its base’s UNet',
    advice: 'Name its checkpoint with --model-version, and this file with --convert-controlnet.',
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

/** A pooled (shuffle) ControlNet, which only the YAML beside the file identifies. */
export const pooledControlNet: RecognizedWeights = kinds.pooled;

/** All kinds of weight files that can be recognised. */
export const knownWeightFiles: readonly RecognizedWeights[] = [
  ...Object.values(kinds),
  ...otherAdapters.map(([, name]) => otherAdapter(name)),
  ...[...alteredModels, ...otherDenoisers, ...otherFiles, ...otherEncoders].map(refused),
];

/**
 * Recognises a weight file by its tensors' names and shapes; `undefined` for an unknown one. Every command decides by
 * this function. `path` helps where the names do not suffice.
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

/** Recognises a network that looks like one of Stable Diffusion and is another. */
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
  return unet && otherUnet(inputChannels(unet, shapes));
}

/** Recognises a VAE alone with the latents of another family, or of videos. */
function otherVae({ parts }: Survey, shapes: Shapes): RecognizedWeights | undefined {
  if (!parts.has('vae') || parts.has('unet')) return undefined;
  const latents = shapeEnding(shapes, /(^|\.)decoder\.conv_in\.weight$/);
  return latents && (latents.length !== 4 || latents[1] !== 4) ? kinds.otherVae : undefined;
}

/** Input channels of a UNet's first convolution; `undefined` where the file lacks it. */
function inputChannels({ prefix }: FoundPart, shapes: Shapes): number | undefined {
  const names = ['input_blocks.0.0.weight', 'conv_in.weight'].map((name) => prefix + name);
  for (const [name, { shape }] of shapes) if (names.includes(plainName(name))) return shape[1];
  return undefined;
}

/** Recognises a UNet for an unsupported task, by its input channels. */
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

/** Recognises a checkpoint, a UNet alone, or a ControlNet. */
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

/** Recognises a LoRA, and other adapters. */
function adapter({ adapters, parts }: Survey, names: readonly string[]): RecognizedWeights | undefined {
  if (parts.size > 0) return undefined;
  const other = otherAdapters.find(([tensor]) => names.some((name) => tensor.test(name)));
  if (other) return otherAdapter(other[1]);
  return adapters.length > 0 ? kinds.lora : undefined;
}

/** Recognises a single network that is not a UNet, and a textual inversion. */
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

/** Whether a file is a textual inversion as diffusers saves it: one tensor, named by its token. */
function isEmbedding(shapes: Shapes): boolean {
  const [only, ...others] = shapes;
  if (!only || others.length > 0) return false;
  const [name, { shape }] = only;
  return /^<.+>$/.test(name) && shape.length <= 2;
}

function otherAdapter(name: string): RecognizedWeights {
  return {
    kind: 'unsupported',
    what: `${name}, which is not supported`,
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
