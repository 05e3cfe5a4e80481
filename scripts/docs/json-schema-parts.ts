import { z } from 'zod';
import { formatNames } from '../../src/formats/format.ts';
import { decibels } from '../../src/validate/decibels.ts';

/** What several commands print with `--json`. */

export { decibels };
export const count = z.int().min(0);
export const texts = z.record(z.string(), z.string());

export const sized = z.strictObject({ name: z.string(), byteLength: count });
export const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
export const hashed = sized.extend({ sha256 });
export const downloaded = sized.extend({
  isCached: z.boolean().describe('whether it was in the cache before'),
});
export const format = z.enum(formatNames);
export const size = z.tuple([count, count]).nullable();

export const verdict = z.strictObject({
  model: z.string(),
  paths: z.array(z.string()),
  format,
  floor: decibels.describe('lowest PSNR that passes, in dB'),
  reference: z.string(),
  outputs: z.array(
    z.strictObject({
      name: z.string(),
      inputs: z.string().describe('case of inputs: timestep 981'),
      psnr: decibels.describe('dB; against a reference with the same bits where weights have fewer'),
      applePsnr: decibels,
      float32Psnr: decibels.optional().describe('dB against float32, where weights have fewer bits'),
      maxAbsError: decibels,
      nonFinite: z.strictObject({ reference: count, candidate: count, added: count }),
      pass: z.boolean(),
    }),
  ),
  notCompared: z.array(z.string()),
  pass: z.boolean(),
});
