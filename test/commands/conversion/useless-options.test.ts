import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { ConvertOptions } from '../../../src/commands/conversion/request.ts';
import { convertCheckpoint } from '../../../src/commands/convert.ts';
import { type NamedTensor, writeSafetensors } from '../../../src/weights/safetensors-writer.ts';
import { sdShapes } from '../../support/sd-shapes.ts';
import { writeSmallLora } from '../../support/small-lora.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { writeXlCheckpoint } from '../../support/xl-checkpoint.ts';

const at = temporaryFolder();

/** The notes of a dry run about options that change nothing. */
async function notes(options: Partial<ConvertOptions>): Promise<string[]> {
  const found: string[] = [];
  await convertCheckpoint(
    { modelVersion: sdShapes, dryRun: true, output: at('out'), ...options },
    { onProgress: (event) => void (event.type === 'note' && found.push(event.message)) },
  );
  return found.filter((message) => message.includes('changes nothing here'));
}

test.each<[option: string, options: Partial<ConvertOptions>]>([
  ['--chunk-unet', { models: ['vae_decoder'], maxChunkBytes: 5e6 }],
  ['--chunk-unet', { without: ['unet'], maxChunkBytes: 5e6 }],
  ['--unet-support-controlnet', { models: ['text_encoder'], controlledUnet: true }],
  ['--unet-batch-one', { models: ['vae_decoder'], sizes: { unetBatch: 1 } }],
  ['--text-token-sequence-length', { models: ['vae_encoder'], sizes: { textTokens: 77 } }],
  ['--latent-h and --latent-w', { models: ['text_encoder'], sizes: { latentHeight: 8 } }],
  ['--quantize-nbits', { models: ['vae_decoder', 'vae_encoder'], quantization: { bits: 6 } }],
  ['--for ort-web', { models: ['vae_encoder'], clients: ['ort-web'] }],
])('a note says where %s concerns no network that is converted: %j', async (option, options) => {
  const [message, ...more] = await notes(options);
  expect(message).toMatch(
    new RegExp(`^${option} changes nothing here: it concerns .*, and none is converted.$`),
  );
  expect(more).toEqual([]);
  expect(await notes({ ...options, models: ['unet'], without: [] })).toEqual([]);
});

test('no folder is made for a client that loads none of the networks', async () => {
  const clients = ['ort-web', 'optimum'] as const;
  const request = { modelVersion: sdShapes, models: ['vae_encoder'] as const, output: at('encoder') };
  const { bundled } = await convertCheckpoint({ ...request, clients });
  expect(new Set(bundled.map((path) => path.split('/')[0]))).toEqual(new Set(['onnx']));
  expect(existsSync(at('encoder/onnx'))).toBe(true);
  expect(existsSync(at('encoder/onnx-ort-web'))).toBe(false);
});

test('a note says where none of the networks is converted that a LoRA changes', async () => {
  const path = await writeSmallLora(at('style.safetensors'));
  const loras = [{ path, scale: 1 }];
  const [message] = await notes({ models: ['vae_decoder'], loras });
  expect(message).toMatch(
    /^the LoRA style\.safetensors changes nothing here: it concerns the \w+ and the \w+, /,
  );
  expect(await notes({ models: ['text_encoder'], loras })).toEqual([]);
  expect(await notes({ models: ['vae_decoder'], loras: [{ path, scale: 0 }] })).toEqual([]); // off by itself
});

test('a LoRA of the second text encoder changes the one model that Core AI has of both', async () => {
  const layer = 'text_encoder_2.text_model.encoder.layers.0.self_attn.q_proj';
  const matrix = (name: string, shape: readonly number[]): NamedTensor => ({
    name: `${layer}.${name}.weight`,
    dtype: 'f32',
    shape,
    data: new Float32Array(64),
  });
  const path = at('second.safetensors');
  await writeSafetensors(path, [matrix('lora_A', [1, 64]), matrix('lora_B', [64, 1])]);
  const loras = [{ path, scale: 1 }];
  const request: Partial<ConvertOptions> = {
    modelVersion: writeXlCheckpoint(at('xl')),
    targets: ['coreai'],
    loras,
  };
  expect(await notes({ ...request, models: ['text_encoder'] })).toEqual([]);
  expect(await notes({ ...request, models: ['unet'] })).toEqual([
    'the LoRA second.safetensors changes nothing here: it concerns the text_encoder_2, and none is converted.',
  ]);
});
