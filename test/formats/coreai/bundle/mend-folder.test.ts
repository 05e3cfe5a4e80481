import { expect, test } from 'vitest';
import { FEWER_BITS } from '../../../../src/formats/coreai/bundle/check-assets.ts';
import { mendCoreAi } from '../../../../src/formats/coreai/bundle/mend-folder.ts';
import type { Provenance } from '../../../../src/formats/provenance.ts';

const tooLarge = [`Unet.aimodel has 5.10 GB: ${FEWER_BITS}.`];

function recordOf(
  options: Readonly<Record<string, unknown>>,
  pipeline: Provenance['pipeline'] = {},
): Provenance {
  const record = { version: '0.1.0', source: {}, options, files: [] };
  return { sdconvert: '0.1.0', pipeline, artifacts: { 'CoreAI/Unet.aimodel': record } };
}

test('an asset that is too large is written in fewer bits', () => {
  expect(mendCoreAi(tooLarge, undefined)?.more).toEqual(['--quantize-nbits', '8']);
  const mending = mendCoreAi(tooLarge, recordOf({ precision: 'float32', quantization: { bits: 8 } }));
  expect(mending?.more).toEqual(['--quantize-nbits', '4']);
  expect(mending?.without).toContain('quantization');
});

test('sizes that the pipelines do not draw are not taken again', () => {
  const without = (options: Readonly<Record<string, unknown>>) =>
    mendCoreAi(['metadata.json is missing.'], recordOf(options))?.without;
  expect(without({ latentHeight: 8, latentWidth: 8, quantization: { bits: 6 } })).toEqual(['textTokens']);
  expect(without({ latentHeight: 8, latentWidth: 16 })).toEqual([
    'textTokens',
    'latentHeight',
    'latentWidth',
  ]);
});

test('no command mends what the checkpoint itself says', () => {
  const problem =
    'metadata.json: diffusion.scheduler.beta_schedule is "linear", and coreai reads scaled_linear.';
  const record = recordOf({}, { scheduler: { beta_schedule: 'linear' } });
  expect(mendCoreAi([problem], record)).toBeUndefined();
  expect(mendCoreAi([problem], undefined)).toBeDefined();
});
