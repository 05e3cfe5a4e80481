import { z } from 'zod';
import { clientNames } from '../bundle/profiles/profile.ts';
import { attentionImplementations } from '../convert/blocks/attention.ts';
import type { Compiler } from '../formats/coreml/compiled/compilers.ts';
import { type DeploymentTarget, deploymentTargets } from '../formats/coreml/deployment-target.ts';
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
const size = z.int().min(1).optional();
const hub = z
  .looseObject({
    endpoint: text,
    cacheDir: text,
    token: z.string().optional(),
    revision: z.string().optional(),
    offline: flag,
  })
  .optional();
const compiler = z.enum(['own', 'apple'] satisfies Compiler[]).optional();
// as: Object.keys gives strings; the table has exactly these keys.
const deployments = Object.keys(deploymentTargets) as DeploymentTarget[];
/**
 * Schemas of the requests, for callers without a type checker: they find missing fields and values of the wrong type.
 * Ranges, and rules over several fields, are checked where the fields are used.
 */
const requests = {
  analyze: z.looseObject({
    artifact: text,
    analysis: place,
    prompts: z.array(z.string()).optional(),
    target: z.union([z.strictObject({ psnr: z.number() }), z.strictObject({ bytes: z.number() })]).optional(),
    output: place,
    inPlace: flag,
    force: flag,
    hub,
  }),
  bundle: z.looseObject({ folder: text, output: place, tokenizer: place, compiler, clients, hub }),
  chunk: z.looseObject({
    artifact: text,
    output: place,
    maxChunkBytes: number,
    removeOriginal: flag,
    force: flag,
    hub,
  }),
  compile: z.looseObject({ package: text, output: place, compiler, force: flag, hub }),
  convert: z.looseObject({
    modelVersion: text,
    refinerVersion: place,
    customVaeVersion: place,
    controlnets: z.array(text).optional(),
    loras: z.array(z.looseObject({ path: text, scale: z.number() })).optional(),
    variant: place,
    strict: flag,
    hub,
    controlledUnet: flag,
    sizes: z
      .looseObject({ latentHeight: size, latentWidth: size, unetBatch: size, textTokens: size })
      .optional(),
    deployment: z.enum(deployments).optional(),
    compiler,
    quantization: z.looseObject({ bits: z.number() }).optional(),
    allowNonFinite: flag,
    maxMemoryBytes: number,
    tmpDir: place,
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
    seed: z.union([z.number(), z.array(z.number()).min(1)]).optional(),
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
    hub,
  }),
  inspect: z.looseObject({ path: text, hub }),
  quantize: z.looseObject({
    artifact: text,
    output: place,
    inPlace: flag,
    force: flag,
    plan: z.custom((value) => typeof value === 'function', 'expected a function'),
    hub,
  }),
  report: z.looseObject({
    folder: text,
    output: place,
    reference: place,
    variant: place,
    minPsnr: decibels,
    clients,
    analysis: place,
    pictures: flag,
    prompt: z.string().optional(),
    steps: z.int().min(1).optional(),
    guidanceScale: number,
    seed: number,
    maxMemoryBytes: number,
    tmpDir: place,
    force: flag,
    hub,
  }),
  run: z.looseObject({
    artifacts: z.array(text),
    record: place,
    inputs: z.map(z.string(), tensor),
    optimize: flag,
    roundToFloat16: flag,
    hub,
  }),
  serve: z.looseObject({ folder: text, host: place, port: number }),
  validate: z.looseObject({
    artifact: text,
    reference: text,
    minPsnr: decibels,
    roundToFloat16: flag,
    maxMemoryBytes: number,
    tmpDir: place,
    hub,
  }),
  verify: z.looseObject({ path: text, clients, hub }),
  web: z.looseObject({
    folder: text,
    output: place,
    prompt: z.string().optional(),
    steps: z.int().min(0).optional(),
    guidanceScale: number,
    seed: number,
    force: flag,
    hub,
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
