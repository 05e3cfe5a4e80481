import type { NetworkName } from '../../src/convert/networks/networks.ts';
import type { ConvertOptions } from '../../src/index.ts';

/** A conversion, and the recordings that it is compared with. */
export interface Recorded {
  readonly title: string;
  /** Options of the conversion; `at` gives the path of a checkpoint. */
  readonly request: (at: (...names: readonly string[]) => string) => ConvertOptions;
  /** How the weights are stored. From float16, only `_w16` can be reached; with a LoRA, only float32 is recorded. */
  readonly stored: 'float16' | 'float32' | 'float32, merged';
  readonly family?: 'sdxl';
  /** Each network's recordings: NAME, NAME.case1, …, as many as there must be. */
  readonly networks: readonly (readonly [model: NetworkName, name: string, count: number])[];
}

/** The conversions for which diffusers' numbers are recorded. */
export const recordedConversions: readonly Recorded[] = [
  {
    title: 'sd15',
    request: (at) => ({ modelVersion: at('sd15') }),
    stored: 'float32',
    networks: [
      ['text_encoder', 'sd15/text_encoder', 3],
      ['unet', 'sd15/unet', 3],
      ...vae('sd15'),
      ['safety_checker', 'sd15/safety_checker', 3],
    ],
  },
  {
    title: 'sd15 controlled',
    request: (at) => ({ modelVersion: at('sd15'), controlledUnet: true }),
    stored: 'float32',
    networks: [['control-unet', 'sd15/control-unet', 2]],
  },
  {
    title: 'sd15-wide and a ControlNet',
    request: (at) => ({ modelVersion: at('sd15-wide'), controlnets: [at('controlnet-sd15')] }),
    stored: 'float16',
    networks: [
      ['unet', 'sd15-wide/unet', 3],
      ...vae('sd15-wide'),
      ['controlnet', 'controlnet-sd15/controlnet', 3],
    ],
  },
  {
    title: 'sd21',
    request: (at) => ({ modelVersion: at('sd21') }),
    stored: 'float16',
    networks: [['text_encoder', 'sd21/text_encoder', 3], ['unet', 'sd21/unet', 3], ...vae('sd21')],
  },
  {
    title: 'sdxl and its refiner',
    request: (at) => ({ modelVersion: at('sdxl'), refinerVersion: at('sdxl-refiner') }),
    stored: 'float16',
    family: 'sdxl',
    networks: [
      ['text_encoder', 'sdxl/text_encoder', 3],
      ['text_encoder_2', 'sdxl/text_encoder_2', 3],
      ['unet', 'sdxl/unet', 3],
      ['refiner', 'sdxl-refiner/unet', 3],
      ...vae('sdxl'),
    ],
  },
  {
    title: 'sdxl controlled',
    request: (at) => ({ modelVersion: at('sdxl'), controlledUnet: true }),
    stored: 'float16',
    family: 'sdxl',
    networks: [['control-unet', 'sdxl/control-unet', 2]],
  },
  {
    title: 'sdxl-refiner alone',
    request: (at) => ({ modelVersion: at('sdxl-refiner') }),
    stored: 'float16',
    family: 'sdxl',
    networks: [
      ['text_encoder_2', 'sdxl-refiner/text_encoder_2', 3],
      ['unet', 'sdxl-refiner/unet', 3],
      ...vae('sdxl-refiner'),
    ],
  },
  ...(['diffusers', 'kohya'] as const).map((kind): Recorded => {
    const file = { diffusers: 'lora_diffusers_peft.safetensors', kohya: 'lora_kohya.safetensors' }[kind];
    return {
      title: `sd15 and a LoRA (${kind})`,
      request: (at) => ({ modelVersion: at('sd15'), loras: [{ path: at('lora-sd15', file), scale: 0.7 }] }),
      stored: 'float32, merged',
      networks: [
        ['text_encoder', `lora-sd15/${kind}_s0.7`, 1],
        ['unet', `lora-sd15/${kind}_s0.7`, 1],
      ],
    };
  }),
];

function vae(folder: string): Recorded['networks'] {
  return [
    ['vae_decoder', `${folder}/vae_decoder`, 2],
    ['vae_encoder', `${folder}/vae_encoder`, 2],
  ];
}
