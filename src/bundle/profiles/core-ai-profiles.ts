import { COREAI_FOLDER, coreAiSchedulers } from '../../formats/coreai/apple-folder.ts';
import type { ClientName, Profile } from './profile.ts';

const core = ['text_encoder', 'unet', 'vae_decoder'] as const;

/** The clients that load Core AI models. */
export const coreAiProfiles = {
  coreai: {
    target: 'coreai',
    title: 'Apple’s Core AI pipelines (coreai-models), on macOS 27, iOS 27 and newer',
    folder: COREAI_FOLDER,
    isComplete: true,
    required: core,
    // XL's second text encoder is in one asset with the first.
    networks: [
      ...core,
      'text_encoder_2',
      'vae_encoder',
      'controlnet',
      'control-unet',
      'refiner',
      'safety_checker',
    ],
    schedulers: coreAiSchedulers,
    files: ['metadata.json', 'vocab.json', 'merges.txt'],
    notes: [
      'Draws squares with a batch of 2; has no ControlNets, no inpainting and no refiner (docs/core-ai.md).',
    ],
  },
} as const satisfies Partial<Readonly<Record<ClientName, Profile>>>;
