import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeVerdicts } from '../../cli/commands/validate.ts';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { validate } from '../../src/commands/validate.ts';
import { ValidationError } from '../../src/errors.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const modelVersion = join(import.meta.dirname, '../../models/sd-shapes');
const at = temporaryFolder();

test('every artifact of an output is validated, each against the reference’s in its own format', async () => {
  await convertCheckpoint({
    modelVersion,
    models: ['vae_encoder'],
    targets: ['onnx', 'coreml', 'coreai'],
    output: at('out'),
  });
  const verdicts = await validate({ artifact: at('out'), reference: at('out') });
  expect(verdicts.map(({ format, floor }) => [format, floor])).toEqual([
    ['onnx', 35],
    ['mlpackage', 35],
    ['aimodel', 35],
    ['mlmodelc', 35],
  ]);
  for (const { format, outputs } of verdicts)
    for (const { psnr } of outputs)
      expect({ format, psnr }).toEqual({ format, psnr: Number.POSITIVE_INFINITY });
  expect(describeVerdicts(verdicts)).toMatch(/mlmodelc +\S+VAEEncoder\.mlmodelc +latent/);
});

test('a check that fails lists every artifact with its floor', async () => {
  const request = { modelVersion, models: ['vae_encoder'], output: at('far'), minPsnr: 300 } as const;
  const error = await rejectionOf(convertCheckpoint({ ...request, targets: ['onnx', 'coreml'] }));
  expect(error).toBeInstanceOf(ValidationError);
  expect(Object.keys(error.details)).toEqual([
    join('onnx', 'vae_encoder'),
    'Stable_Diffusion_version_sd-shapes_vae_encoder.mlpackage',
  ]);
  expect(Object.values(error.details)[1]).toMatch(/^mlpackage, .* \d+\.\d dB, floor 300: too far$/);
  expect(error.advice).toContain('--precision');
});
