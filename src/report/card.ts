import { z } from 'zod';
import { type Format, formatNames } from '../formats/format.ts';
import { decibels } from '../validate/decibels.ts';

/**
 * The report card as plain data: all that its page, its model card and its JSON twin (`report.json`) show. What was not
 * measured is `null`, and stands in `notChecked` with the command that measures it.
 */

const count = z.int().min(0);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const named = z.strictObject({ name: z.string(), sha256 });
// Its type is named, because declarations cannot spell that of a computed list.
const format: z.ZodType<Format> = z.enum(formatNames);

const verdict = z.strictObject({
  result: z.enum(['pass', 'fail', 'not judged']),
  sentence: z.string(),
  floor: z.number().describe('lowest PSNR that passes, in dB'),
  lowest: decibels.nullable().describe('lowest PSNR of any output, in dB'),
  failsAt: z
    .strictObject({ floor: z.number(), command: z.string() })
    .nullable()
    .describe('the floor at which this verdict turns to fail, and the command that shows it'),
  reasons: z.array(z.string()).describe('why it fails, a sentence each'),
});

const identity = z.strictObject({
  name: z.string().nullable().describe('id on the Hub, or own name of the checkpoint'),
  hub: z.array(z.strictObject({ repo: z.string(), commit: z.string(), files: z.array(z.string()) })),
  files: z.array(named).describe('files of the checkpoint that the models were made from'),
  family: z.string().nullable(),
  task: z.string().nullable(),
  recognised: z.string().describe('by what, and how surely'),
  prediction: z.string().nullable(),
  scheduler: z.string().nullable(),
  loras: z.array(z.strictObject({ name: z.string(), scale: z.number(), sha256 })),
  licence: z
    .strictObject({
      id: z.string(),
      name: z.string().nullable(),
      link: z.string().nullable(),
      from: z.string(),
    })
    .nullable(),
  recipe: z.array(z.strictObject({ option: z.string(), value: z.string(), of: z.string() })),
  command: z.string().nullable().describe('makes it again'),
  commandNote: z.string().nullable(),
});

const weightGroup = z.strictObject({
  stored: z.string(),
  bits: z.number(),
  tensors: count,
  parameters: count,
  byteLength: count,
});

const artifact = z.strictObject({
  path: z.string(),
  format,
  network: z.string().nullable(),
  chunk: count.nullable(),
  byteLength: count,
  files: z.array(z.strictObject({ name: z.string(), byteLength: count, sha256: sha256.nullable() })),
  weights: z.array(weightGroup),
  precision: z.string().nullable(),
  attention: z.string().nullable(),
  needs: z.string().nullable().describe('opset, or the oldest system that loads it'),
  problem: z.string().nullable().describe('why it could not be read'),
});

const limit = z.strictObject({
  client: z.string(),
  what: z.string(),
  limit: count.describe('bytes'),
  found: count.describe('bytes'),
  where: z.string(),
  source: z.string(),
});

const output = z.strictObject({
  name: z.string(),
  inputs: z.string(),
  psnr: decibels,
  applePsnr: decibels.describe('by the formula of Apple’s converter'),
  float32Psnr: decibels.nullable().describe('against float32, where weights have fewer bits'),
  maxAbsError: decibels,
  nonFinite: count,
  pass: z.boolean(),
});

const parity = z.strictObject({
  reference: z.string(),
  models: z.array(
    z.strictObject({
      network: z.string(),
      format,
      paths: z.array(z.string()),
      arithmetic: z.enum(['exact', 'rounded']).describe('rounded: to float16 after every operation'),
      median: decibels,
      lowest: decibels,
      lowestToFloat32: decibels.nullable(),
      pass: z.boolean(),
      outputs: z.array(output),
      recorded: z.number().nullable().describe('lowest PSNR on record for its family, format and precision'),
      apple: z.strictObject({ psnr: z.number(), what: z.string(), source: z.string() }).nullable(),
    }),
  ),
});

const picture = z.strictObject({ name: z.string(), width: count, height: count, scale: z.number() });

const pictures = z.strictObject({
  prompt: z.string(),
  seed: z.number(),
  steps: count,
  guidanceScale: z.number(),
  scheduler: z.string(),
  format,
  gain: count.describe('factor by which maps of differences enlarge them'),
  reference: picture,
  swapped: z.array(
    z.strictObject({
      network: z.string().describe('the only network that is the conversion’s; all of them: all'),
      psnr: decibels,
      ssim: z.number(),
      picture,
      difference: picture,
    }),
  ),
});

const layers = z.strictObject({
  path: z.string(),
  network: z.string(),
  weights: z.array(
    z.strictObject({
      name: z.string(),
      form: z.string(),
      bits: z.number(),
      elements: count.nullable(),
      byteLength: z.number().nullable().describe('about, from elements and bits'),
      decibels: decibels.nullable().describe('10·log10(Σw² / Σ(w − ŵ)²)'),
    }),
  ),
  leftOut: z.array(
    z.strictObject({ why: z.string(), tensors: count, parameters: count, names: z.array(z.string()) }),
  ),
});

const point = z.strictObject({ label: z.string(), bytes: count, psnr: decibels });

const curve = z.strictObject({
  of: z.string(),
  how: z.string(),
  mixed: z.array(point),
  uniform: z.array(point),
  chosen: point.nullable(),
});

const lint = z.strictObject({
  rule: z.string(),
  severity: z.enum(['fault', 'warning', 'note']),
  problem: z.string(),
  where: z.string(),
  since: z.string().nullable().describe('the date, system or version that it is known from'),
  source: z.string(),
  mend: z.string().nullable(),
});

const stage = z.strictObject({ name: z.string(), seconds: z.number() });

const cost = z.strictObject({
  bytes: count.describe('of all models; hard links count once for each name'),
  conversion: z.array(stage).nullable(),
  report: z.array(stage),
  peakBytes: count.describe(
    'peak memory of the process that wrote the report, with the largest of those that computed for it',
  ),
  read: count,
  written: count,
  machine: z.string(),
});

const notChecked = z.strictObject({ what: z.string(), why: z.string(), command: z.string().nullable() });

/** Schema of `report.json`. */
export const cardSchema = z.strictObject({
  sdconvert: z.string().describe('version that wrote it'),
  folder: z.string(),
  verdict,
  identity,
  files: z.array(artifact),
  limits: z.array(limit),
  parity: parity.nullable(),
  pictures: pictures.nullable(),
  layers: z.array(layers),
  curve: curve.nullable(),
  lint: z.array(lint),
  cost,
  notChecked: z.array(notChecked),
});

/** A report card. */
export type Card = z.output<typeof cardSchema>;

/** A model of the card, whole or a chunk. */
export type CardFile = Card['files'][number];

/** One fault, warning or note of the card. */
export type Lint = Card['lint'][number];

/** Whether a model is Core ML's, as a package or compiled. */
export function isCoreMl({ format }: Pick<CardFile, 'format'>): boolean {
  return format === 'mlpackage' || format === 'mlmodelc';
}

/** Whether a model is a UNet, of whatever kind. */
export function isUNet({ network }: Pick<CardFile, 'network'>): boolean {
  return network === 'unet' || network === 'control-unet' || network === 'refiner';
}
