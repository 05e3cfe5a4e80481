import { z } from 'zod';
import { clientNames } from '../bundle/profiles/profile.ts';
import { attentionImplementations } from '../convert/blocks/attention.ts';
import { networkKinds } from '../convert/networks/networks.ts';
import { targetNames } from '../formats/format.ts';
import { text } from '../io/check-call.ts';
import { isDeviceName } from '../io/device-name.ts';
import { quantizationModes } from '../quantize/plan.ts';
import { precisions } from '../quantize/precision.ts';

/**
 * The manifest of a batch: which checkpoints are converted, into which variants, and how good each must be. Its schema is
 * strict: a key that it does not know is a mistake, not an option of a later version.
 */

const wholeNumber = z.int().min(1);

/** A name that is a folder's, too, on every system. */
export const plainName = z
  .string()
  .max(255, 'expected at most 255 letters')
  .regex(/^[A-Za-z0-9][\w.+-]*(?<!\.)$/, 'expected letters, digits and . + - _, and a letter or digit first')
  .refine((name) => !isDeviceName(name), 'expected a name that Windows allows, too');

const decibels = z.number().describe('dB');

/** One or more of a few words, each of which need stand there once. */
const some = <const T extends readonly string[]>(words: T) => z.array(z.enum(words)).min(1).max(MOST_WORDS);

/** Words in a list of a few of them. */
export const MOST_WORDS = 64;

/** Options of a conversion, with the names and values that the library has for them; those of bits stand by themselves. */
const options = {
  targets: some(targetNames).optional().describe('what to write; onnx and coreml when left out'),
  clients: some(clientNames).optional().describe('programs to write for, as --for'),
  models: some(networkKinds).optional().describe('networks to convert; all when left out'),
  without: some(networkKinds).optional().describe('networks to leave out'),
  precision: z.enum(precisions).optional(),
  attention: z.enum(attentionImplementations).optional(),
  bits: wholeNumber
    .optional()
    .describe('bits of the weights: 1, 2, 3, 4, 6 or 8 in palettes, 4 or 8 in linear modes'),
  mode: z.enum(quantizationModes).optional().describe('how weights get fewer bits; palette when left out'),
  groupSize: wholeNumber.optional().describe('channels that share a palette or a scale; all when left out'),
  maxChunkBytes: wholeNumber
    .optional()
    .describe('bytes that no chunk of the UNet exceeds; whole when left out'),
  sizes: z
    .strictObject({
      latentHeight: wholeNumber.optional(),
      latentWidth: wholeNumber.optional(),
      unetBatch: wholeNumber.optional(),
      textTokens: wholeNumber.optional(),
    })
    .optional()
    .describe('fixed sizes'),
  deployment: z.enum(['macOS13', 'macOS14', 'macOS15']).optional().describe('oldest system, for Core ML'),
  compiler: z.enum(['own', 'apple']).optional(),
  bundle: z.boolean().optional().describe('whether to add what clients load beside the models'),
};

/** How good results must be, and compared with what. */
const quality = {
  floor: decibels.optional().describe('lowest PSNR in dB that passes; nothing is measured when left out'),
  reference: text
    .optional()
    .describe('float32 (the same checkpoint, the default with a floor), a path, or none'),
};

const variant = z.strictObject({ ...options, ...quality });

const sha256 = z.string().regex(/^[0-9a-f]{64}$/i, 'expected 64 hexadecimal digits');

/** More about a checkpoint than where it is. */
const source = z.strictObject({
  source: text.describe('a folder, a file, or org/name on the Hub'),
  name: plainName.optional().describe('folder of its results; its own name when left out'),
  revision: text.optional().describe('branch, tag or commit on the Hub'),
  sha256: z
    .union([sha256, z.record(text, sha256)])
    .optional()
    .describe('of the file, or of files in the folder by their paths'),
  weights: text.optional().describe('variant of the weight files, as --variant: fp16, non_ema'),
  vae: text.optional().describe('a VAE that replaces its own'),
  refiner: text.optional().describe('checkpoint of the refiner'),
  controlnets: z.array(text).min(1).optional(),
  loras: z.array(text).min(1).optional().describe('FILE or FILE:SCALE'),
  predictionType: z.enum(['epsilon', 'v_prediction']).optional(),
  variants: z
    .array(text)
    .min(1)
    .optional()
    .describe('names of the variants that are made of it; all when left out'),
  reference: quality.reference,
});

/** A checkpoint in the list. */
export const sourceSchema = z.union([text, source]);

/** Schema of a manifest, as it is published. */
export const manifestSchema = z.strictObject({
  output: text
    .optional()
    .describe('folder of all results, from the folder of the manifest; converted when left out'),
  options: variant.optional().describe('options of all variants, each of which may have its own instead'),
  variants: z
    .record(plainName, variant.nullable())
    .optional()
    .describe('what is made of each checkpoint; one with the options above when left out'),
  sources: z.array(sourceSchema).min(1).describe('the checkpoints'),
});

/** A manifest as it was written. */
export type Manifest = z.infer<typeof manifestSchema>;

/** Options of a variant: those of all, or one's own. */
export type VariantOptions = z.infer<typeof variant>;

/** A checkpoint of a manifest. */
export type ManifestSource = z.infer<typeof source>;
