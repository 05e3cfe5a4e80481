import { expect, test } from 'vitest';
import type { ConvertOptions } from '../../../src/commands/conversion/request.ts';
import { convertCheckpoint } from '../../../src/commands/convert.ts';
import { sdShapes } from '../../support/sd-shapes.ts';
import { writeSmallLora } from '../../support/small-lora.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { rejectionOf } from '../../support/thrown-by.ts';

const at = temporaryFolder();
const convert = (options: Partial<ConvertOptions>) =>
  convertCheckpoint({ modelVersion: sdShapes, dryRun: true, output: at('out'), ...options });

test.each<[option: string, options: Partial<ConvertOptions>]>([
  ['--chunk-unet', { models: ['vae_decoder'], maxChunkBytes: 5e6 }],
  ['--chunk-unet', { without: ['unet'], maxChunkBytes: 5e6 }],
  ['--unet-support-controlnet', { models: ['text_encoder'], controlledUnet: true }],
  ['--unet-batch-one', { models: ['vae_decoder'], sizes: { unetBatch: 1 } }],
  ['--text-token-sequence-length', { models: ['vae_encoder'], sizes: { textTokens: 77 } }],
  ['--latent-h and --latent-w', { models: ['text_encoder'], sizes: { latentHeight: 8 } }],
  ['--quantize-nbits', { models: ['vae_decoder', 'vae_encoder'], quantization: { bits: 6 } }],
])('%s is refused where it concerns no network that is converted: %j', async (option, options) => {
  const { problem } = await rejectionOf(convert(options));
  expect(problem).toMatch(
    new RegExp(`^${option} would change nothing: it concerns .*, and none of these is converted.$`),
  );
  await convert({ ...options, models: ['unet'], without: [] });
});

test('a LoRA is refused where none of the networks is converted that it changes', async () => {
  const path = await writeSmallLora(at('style.safetensors'));
  const loras = [{ path, scale: 1 }];
  const { problem } = await rejectionOf(convert({ models: ['vae_decoder'], loras }));
  expect(problem).toMatch(
    /^the LoRA style\.safetensors would change nothing: it concerns the \w+ and the \w+, /,
  );
  await convert({ models: ['text_encoder'], loras });
  await convert({ models: ['vae_decoder'], loras: [{ path, scale: 0 }] }); // off by itself, as scripts may leave it
});
