import type { NetworkKind } from '../../convert/networks/networks.ts';
import type { PackageFacts } from '../../formats/client-form.ts';
import type { ClientName, Profile } from './profile.ts';

const core = ['text_encoder', 'unet', 'vae_decoder'] as const;
const all: readonly NetworkKind[] = [
  ...core,
  'text_encoder_2',
  'vae_encoder',
  'controlnet',
  'control-unet',
  'refiner',
  'safety_checker',
];
const tokenizer = ['vocab.json', 'merges.txt'];

/** Names by which coreml-diffusion finds packages: those of UNets, of VAEs, of text encoders. */
export const comfyNames = [
  /_\d+x\d+x\d+(_cn)?_(se2?|orig)(_q\d)?$/,
  /_vae_(en|de)coder_\d+x\d+x\d+$/,
  /_text_encoder(_2)?_\d+$/,
] as const;

const comfyNetworks = [...core, 'text_encoder_2', 'vae_encoder', 'control-unet'] as const;

/** The clients that load Core ML models. */
export const coreMlProfiles = {
  swift: {
    target: 'coreml',
    title: 'Apple’s Swift package and the apps built on it',
    folder: 'Resources',
    required: core,
    networks: all,
    takesChunks: true,
    files: tokenizer,
    notes: ['Reads no metadata: it does not learn that a model predicts v.'],
  },

  mochi: {
    target: 'coreml',
    title: 'Mochi Diffusion 6',
    folder: 'Resources',
    required: [...core, 'vae_encoder'],
    networks: all,
    takesChunks: true,
    files: tokenizer,
    notes: ['Takes the size of pictures from the VAE encoder.'],
  },

  guernika: {
    target: 'coreml',
    title: 'Guernika',
    folder: 'guernika',
    required: core,
    networks: [...core, 'text_encoder_2', 'vae_encoder', 'safety_checker'],
    takesChunks: true,
    files: tokenizer,
    settingsInMetadata: true,
    // Of Stable Diffusion XL’s text encoders, in which it is the last but one.
    outputNames: { hidden_embeds: 'last_hidden_state' },
    notes: [
      'Its metadata carry prediction_type, so models that predict v work.',
      'Its ControlNets have inputs and outputs of other names than Apple’s, it loads a refiner as a model of its own, and edits pictures (pix2pix) with UNets of a batch of 3: none of these are written.',
    ],
  },

  comfyui: {
    target: 'coreml',
    title: 'ComfyUI-CoreMLSuite 2 and coreml-diffusion',
    folder: 'comfyui',
    form: {
      client: 'comfyui',
      folder: 'comfyui',
      networks: comfyNetworks,
      coreMl: { text: 'tokens-first', packageName: comfyName, packageNames: comfyNames },
    },
    required: ['unet'],
    networks: comfyNetworks,
    files: [],
    notes: ['Loads whole packages, whose names are its key.'],
  },
} as const satisfies Partial<Readonly<Record<ClientName, Profile>>>;

const attentions = { ORIGINAL: 'orig', SPLIT_EINSUM: 'se', SPLIT_EINSUM_V2: 'se2' } as const;

/** As coreml-diffusion names packages: `{stem}_{batch}x{W}x{H}[_cn]_{se|se2|orig}[_q6]`, sizes in pixels. */
function comfyName({ kind, stem, inputs, attention, bits }: PackageFacts): string {
  const [[batch = 1, , height = 0, width = 0] = []] = [...inputs.values()];
  if (kind === 'text_encoder' || kind === 'text_encoder_2') return `${stem}_${kind}_${batch}`;
  // A VAE encoder takes pixels, the others latents.
  const scale = kind === 'vae_encoder' ? 1 : PIXELS;
  const size = `${batch}x${width * scale}x${height * scale}`;
  if (kind === 'vae_encoder' || kind === 'vae_decoder') return `${stem}_${kind}_${size}`;
  const options = [kind === 'control-unet' ? 'cn' : '', attentions[attention], bits ? `q${bits}` : ''];
  return [stem, size, ...options.filter(Boolean)].join('_');
}

/** Pixels of a picture for each of its latents: once more, for the help loads no more of the library than these tables. */
const PIXELS = 8;
