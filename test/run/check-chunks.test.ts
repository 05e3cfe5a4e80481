import { expect, test } from 'vitest';
import { FileFormatError } from '../../src/errors.ts';
import { type Chunk, checkChunks } from '../../src/run/check-chunks.ts';

/** Chunks that take and give these values, in order. */
function chunksOf(...borders: readonly (readonly [inputs: string, outputs: string])[]): Chunk[] {
  const values = (names: string) =>
    names.split(' ').map((name) => ({ name, dtype: 'float16', shape: [2, 4, 8, 8] }));
  return borders.map(([inputs, outputs], at) => ({
    path: `UnetChunk${at + 1}.mlmodelc`,
    chunk: { index: at + 1 },
    inputs: values(inputs),
    outputs: values(outputs),
    metadata: {},
  }));
}

const first = 'sample timestep encoder_hidden_states';

test.each([
  ['of a UNet', [[first, 'a'] as const, ['a encoder_hidden_states', 'noise_pred'] as const]],
  [
    'of one that takes residuals in a later chunk, by Apple’s names',
    [[first, 'a'] as const, ['a additional_residual_0 additional_residual_12', 'noise_pred'] as const],
  ],
  [
    'by optimum’s',
    [
      [first, 'a'] as const,
      ['a down_block_additional_residual_0', 'b'] as const,
      ['b mid_block_additional_residual', 'out_sample'] as const,
    ],
  ],
  [
    'whose first takes nothing but the time',
    [['timestep', 'a'] as const, [`a ${first}`, 'noise_pred'] as const],
  ],
  [
    'whose first takes nothing but the picture',
    [['sample', 'a'] as const, [`a ${first}`, 'noise_pred'] as const],
  ],
])('chunks that make a model are taken: %s', (_, borders) => {
  expect(() => checkChunks(chunksOf(...borders))).not.toThrow();
});

test.each([
  ['', 'b'],
  ['whose name is like that of a residual', 'down_blocks.1.add mid_block_additional_residual'],
])('a chunk that takes what none before it gives is refused: %s', (_, taken) => {
  const chunks = chunksOf([first, 'a'], [taken, 'noise_pred']);
  expect(() => checkChunks(chunks)).toThrow(FileFormatError);
  expect(() => checkChunks(chunks)).toThrow('UnetChunk2.mlmodelc takes what no chunk before it gives.');
});
