import { join } from 'node:path';
import { beforeEach, expect, test, vi } from 'vitest';
import type { ConvertOptions } from '../../../src/commands/conversion/request.ts';
import { convertCheckpoint } from '../../../src/commands/convert.ts';
import { buildCoreMl } from '../../../src/formats/coreml/build/build-model.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

vi.mock('../../../src/formats/coreml/build/build-model.ts', { spy: true });

const temporary = temporaryFolder();
const options = {
  modelVersion: join(import.meta.dirname, '../../../models/sd-shapes'),
  targets: ['coreml'],
  models: ['text_encoder', 'unet'],
  quantization: { bits: 2 },
  maxChunkBytes: 1e6,
  bundle: false,
} satisfies ConvertOptions;

beforeEach(() => void vi.mocked(buildCoreMl).mockClear());

test('a dry run makes the Core ML form of each network once', async () => {
  const { artifacts } = await convertCheckpoint({ ...options, output: temporary('dry'), dryRun: true });
  expect(artifacts.map(({ name }) => name)).toEqual(['text_encoder', 'unet_chunk1', 'unet_chunk2']);
  expect(buildCoreMl).toHaveBeenCalledTimes(2);
});

test('a conversion makes it twice, quantised and in chunks: to plan it and to write it', async () => {
  await convertCheckpoint({ ...options, output: temporary('written') });
  expect(buildCoreMl).toHaveBeenCalledTimes(4);
});

test('what is kept is not made again', async () => {
  await convertCheckpoint({ ...options, output: temporary('written') });
  expect(buildCoreMl).toHaveBeenCalledTimes(2);
});
