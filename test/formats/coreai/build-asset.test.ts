import { expect, test } from 'vitest';
import { RequestError } from '../../../src/errors.ts';
import { buildAsset, refuseTooLarge } from '../../../src/formats/coreai/build-asset.ts';
import { everyCase, graphOfCases } from '../../support/op-cases/every-case.ts';
import { thrownBy } from '../../support/thrown-by.ts';

test('an asset says where it is from: of what checkpoint, made how', () => {
  const options = { attention: 'ORIGINAL', precision: 'float16' };
  const { metadata } = buildAsset('unet', graphOfCases(everyCase), {
    checkpoint: 'a/b',
    license: 'MIT',
    options,
  });
  expect(metadata.license).toBe('MIT');
  expect(metadata.creatorDefinedMetadata).toMatchObject({ model: 'unet', checkpoint: 'a/b', ...options });
});

test('an asset of more than 4 GiB is refused, with what would make it fit', () => {
  const file = (byteLength: number) => [{ name: 'main.mlirb', byteLength }];
  refuseTooLarge('unet', file(2 ** 32));
  const error = thrownBy(() => refuseTooLarge('unet', file(5.1e9)));
  expect(error).toBeInstanceOf(RequestError);
  expect(error.message).toContain('the UNet would be one Core AI asset of 5.10 GB');
  expect(error.advice).toContain('--quantize-nbits 8');
});
