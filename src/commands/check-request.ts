import { z } from 'zod';
import { clientNames } from '../bundle/profiles/profile.ts';
import { attentionImplementations } from '../convert/blocks/attention.ts';
import { targetNames } from '../formats/format.ts';
import { checkCall, text } from '../io/check-call.ts';
import { precisions } from '../quantize/precision.ts';
import { tensor } from '../weights/tensor-schema.ts';

const place = text.optional();
const number = z.number().optional(); // rejects NaN and infinities
/** A floor in dB; with −∞ everything passes. */
const decibels = z.union([z.number(), z.literal(Number.NEGATIVE_INFINITY)]).optional();
const pair = z.tuple([z.int(), z.int()]).optional();
const clients = z.array(z.enum(clientNames)).optional();
const flag = z.boolean().optional();
/**
 * Schemas of the requests, for callers without a type checker: they find missing fields and values of the wrong type.
 * Ranges, and rules over several fields, are checked where the fields are used.
 */
const requests = {
  analyze: z.looseObject({
    artifact: text,
    analysis: place,
    prompts: z.array(z.string()).optional(),
    force: flag,
  }),
  bundle: z.looseObject({ folder: text, tokenizer: place, clients }),
  chunk: z.looseObject({ artifact: text, maxChunkBytes: number, force: flag }),
  compile: z.looseObject({ package: text, output: place, force: flag }),
  convert: z.looseObject({
    modelVersion: text,
    output: place,
    targets: z.array(z.enum(targetNames)).optional(),
    clients,
    attention: z.enum(attentionImplementations).optional(),
    precision: z.enum(precisions).optional(),
    models: z.array(text).optional(),
    without: z.array(text).optional(),
    maxChunkBytes: number,
    minPsnr: decibels,
    bundle: flag,
    force: flag,
    verify: flag,
    dryRun: flag,
  }),
  download: z.looseObject({ repo: text, variant: place, output: place }),
  generate: z.looseObject({
    input: text,
    output: place,
    prompt: z.union([z.string(), z.array(z.string()).min(1)]),
    negativePrompt: z.string().optional(),
    seed: number,
    steps: number,
    guidanceScale: number,
    scheduler: place,
    imageCount: number,
    image: place,
    strength: number,
    mask: place,
    imageGuidanceScale: number,
    controlnets: z
      .array(z.looseObject({ name: text, image: text, scale: number, start: number, end: number }))
      .optional(),
    refinerStart: number,
    height: number,
    width: number,
    originalSize: pair,
    crop: pair,
    clipSkip: z.int().min(0).optional(),
    compareSchedulers: z.array(text).optional(),
    saveEvery: z.int().min(0).optional(),
    grid: flag,
    disableSafety: flag,
    vaeTiling: flag,
    reduceMemory: flag,
    longPrompts: flag,
    promptWeights: flag,
    textualInversions: z.array(z.looseObject({ file: text, token: place })).optional(),
  }),
  inspect: z.looseObject({ path: text }),
  quantize: z.looseObject({
    artifact: text,
    output: place,
    inPlace: flag,
    force: flag,
    plan: z.custom((value) => typeof value === 'function', 'expected a function'),
  }),
  report: z.looseObject({
    folder: text,
    output: place,
    reference: place,
    minPsnr: decibels,
    clients,
    analysis: place,
    pictures: flag,
    prompt: z.string().optional(),
    steps: z.int().min(1).optional(),
    force: flag,
  }),
  run: z.looseObject({
    artifacts: z.array(text),
    record: place,
    inputs: z.map(z.string(), tensor),
    optimize: flag,
  }),
  serve: z.looseObject({ folder: text, host: place, port: number }),
  validate: z.looseObject({ artifact: text, reference: text, minPsnr: decibels }),
  verify: z.looseObject({ path: text, clients }),
  web: z.looseObject({
    folder: text,
    output: place,
    prompt: z.string().optional(),
    steps: z.int().min(0).optional(),
    force: flag,
  }),
} as const;

/**
 * Checks the arguments of a library function before it starts. Throws a `RequestError` that names the function, the field
 * and what is expected.
 *
 * @example checkRequest('convert', {}) // RequestError: convert was called wrongly: modelVersion is missing.
 */
export function checkRequest(command: keyof typeof requests, options: unknown): void {
  checkCall(command, requests[command], options);
}
