import { z } from 'zod';
import { manifestSchema } from '../../src/fleet/manifest.ts';
import { itemStates } from '../../src/fleet/queue/list-jobs.ts';
import { findingSchema } from '../../src/formats/finding-schema.ts';
import { type Format, formatNames, targetNames } from '../../src/formats/format.ts';
import { provenanceSchema } from '../../src/formats/provenance.ts';
import { cardSchema } from '../../src/report/card.ts';
import {
  count,
  decibels,
  downloaded,
  format,
  hashed,
  sha256,
  size,
  sized,
  texts,
  verdict,
} from './json-schema-parts.ts';

/**
 * Schemas of what `--json` prints, a line each, and of sdconvert.json. A test holds real outputs against them: they are
 * strict, so that what is printed and not described fails.
 */

const convert = z.strictObject({
  output: z.string(),
  artifacts: z.array(
    z.strictObject({
      target: z.enum(targetNames),
      id: z.strictObject({
        network: z.string(),
        chunk: z.strictObject({ index: z.int().min(1), of: count.optional() }).optional(),
      }),
      name: z.string(),
      path: z.string().describe('relative to the output'),
      model: z.string(),
      files: z.array(sized),
      client: z.string().optional().describe('the client that it has a form of its own for'),
      twin: z
        .strictObject({ path: z.string(), files: texts, sharedBytes: count })
        .optional()
        .describe('another artifact with the same weights, which are on the disk once'),
      kept: z.boolean().describe('whether an earlier result is reused'),
      findings: z.array(findingSchema).optional(),
    }),
  ),
  bundled: z.array(z.string()),
  verdicts: z.array(verdict),
  report: z.array(z.string()).optional().describe('files of the report card, with --report'),
  downloads: z
    .array(z.strictObject({ repo: z.string(), commit: z.string(), files: z.array(downloaded) }))
    .optional()
    .describe('of a dry run'),
  memory: z
    .strictObject({
      conversion: count,
      check: z.strictObject({ network: z.string(), bytes: count }).optional(),
    })
    .optional()
    .describe('bytes that a dry run says are needed'),
});

const form = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('palette'),
    bits: count,
    groupSize: count.optional(),
    int8Palette: z.boolean().optional(),
    channelScales: z.boolean().optional(),
  }),
  z.strictObject({
    kind: z.literal('linear'),
    bits: count,
    symmetric: z.boolean(),
    blockSize: count.optional(),
    matMulNBits: z.boolean().optional(),
  }),
]);

const quantize = z.strictObject({
  path: z.string(),
  weights: z.array(
    z.strictObject({
      name: z.string(),
      shape: z.array(count),
      form,
      bytesBefore: count,
      bytesAfter: count,
      squaredError: z.number(),
      optimum: z.number().optional(),
      decibels: z.number().nullable(),
    }),
  ),
  bytesBefore: count,
  bytesAfter: count,
});

const point = z.strictObject({ bits: z.union([count, z.literal('mixed')]), bytes: count, psnr: decibels });

const found = {
  path: z.string(),
  problems: z.array(z.string()),
  next: z.union([
    z.strictObject({ command: z.string(), where: z.string().optional() }),
    z.strictObject({ advice: z.string() }),
  ]),
};
const stored = z.array(
  z.strictObject({
    stored: z.string(),
    bits: z.number(),
    tensors: count,
    parameters: count,
    byteLength: count,
  }),
);
const value = z.strictObject({
  name: z.string(),
  dtype: z.string(),
  shape: z.array(z.union([z.number(), z.string()])).nullable(),
});
const model = {
  ...found,
  network: z.string().nullable(),
  chunk: z.string().nullable(),
  inputs: z.array(value),
  outputs: z.array(value),
  operations: z.record(z.string(), count),
  weights: stored,
  files: z.array(sized),
  metadata: texts,
};
const coreMl = {
  specificationVersion: count,
  opset: z.string(),
  deploymentTarget: z.string().nullable(),
  attention: z.string().nullable(),
};
/** What only models of one format have. */
const own = {
  onnx: { irVersion: count, opsets: z.record(z.string(), count), producer: z.string() },
  mlpackage: coreMl,
  mlmodelc: coreMl,
  aimodel: {
    stamp: count.describe('date of the set of operations: yyyymmdd'),
    functions: z.array(z.string()),
    declared: z.record(z.string(), count).describe('calls of what back ends have kernels for'),
  },
} satisfies { readonly [F in Format]: z.ZodRawShape };
const weightFormat = z.enum(['safetensors', 'PyTorch', 'GGUF']);

const inspect = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('checkpoint'),
    ...found,
    format: z.enum(['diffusers folder', ...weightFormat.options]),
    pipeline: z.string().nullable(),
    family: z.string().nullable(),
    task: z.string().nullable(),
    predictionType: z.string().nullable(),
    scheduler: z.string().nullable(),
    compatibleSchedulers: z.array(z.string()),
    latentSize: size,
    pictureSize: size,
    components: z.array(
      z.strictObject({
        name: z.string(),
        className: z.string(),
        tensors: count,
        parameters: count,
        byteLength: count,
        weights: stored,
      }),
    ),
    variants: z.array(z.string()),
    networks: z.array(z.strictObject({ name: z.string(), problem: z.string().nullable() })),
    missing: z.array(z.string()),
    notes: z.array(z.string()),
  }),
  z.strictObject({
    kind: z.literal('weights'),
    ...found,
    format: weightFormat,
    what: z.string(),
    className: z.string().nullable(),
    family: z.string().nullable(),
    lora: z
      .strictObject({
        path: z.string(),
        byteLength: count,
        format: z.string(),
        kinds: z.array(z.string()),
        decomposed: z.boolean(),
        ranks: z.array(count),
        family: z.string().nullable(),
        networks: z.record(z.string(), count),
        targets: count,
        unknown: z.array(z.string()),
        baseModel: z.string().nullable(),
      })
      .nullable(),
    files: z.array(sized),
    tensors: count,
    parameters: count,
    byteLength: count,
    weights: stored,
    values: z.array(value),
    metadata: texts,
  }),
  ...formatNames.map((kind) => z.strictObject({ kind: z.literal(kind), ...model, ...own[kind] })),
  z.strictObject({
    kind: z.literal('artifacts'),
    ...found,
    sdconvert: z.string().nullable(),
    scheduler: z.string().nullable(),
    compatibleSchedulers: z.array(z.string()),
    artifacts: z.array(
      z.strictObject({
        path: z.string(),
        format,
        byteLength: count,
        options: z.record(z.string(), z.unknown()).nullable(),
        findings: z.array(findingSchema).optional(),
      }),
    ),
  }),
  z.strictObject({ kind: z.literal('picture'), ...found, width: count, height: count, texts }),
  z.strictObject({ kind: z.literal('other'), ...found, details: texts }),
]);

const file = { path: z.string(), width: count, height: count, seed: z.number() };
const picture = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.enum(['picture', 'step']),
    ...file,
    prompt: z.string(),
    scheduler: z.string(),
    seconds: z.number(),
    isWithheld: z.boolean().describe('whether the safety checker blackened it'),
  }),
  z.strictObject({ kind: z.literal('sheet'), ...file }),
]);

const item = z.strictObject({
  item: z.string().describe('the checkpoint and the variant'),
  verdict: z.enum(['pass', 'below the floor', 'not checked', 'failed']),
  output: z.string(),
  reused: z.boolean().describe('whether it was there already'),
  seconds: z.number().describe('of its own work, without waiting for memory or disk'),
  bytes: count.describe('of its files'),
  memoryBytes: count
    .optional()
    .describe('most memory that its process had at once, with the largest of those that computed for it'),
  psnr: decibels.optional().describe('dB: the lowest of its models, against its reference'),
  floor: z.number().optional().describe('dB: the lowest PSNR that passes'),
  notes: z.array(z.string()),
  error: z
    .strictObject({ name: z.string(), problem: z.string(), details: texts, advice: z.string().optional() })
    .optional(),
});

/** An item that is done, as far as it is. */
const outcome = {
  bytes: count.optional().describe('of its files'),
  psnr: decibels.optional().describe('dB: the lowest of its models, against its reference'),
  reference: z.string().optional().describe('what it was compared with: float32, or a SHA-256'),
  verdict: z.enum(['pass', 'below the floor', 'not checked', 'failed']).optional(),
  published: z.string().optional().describe('where it is on the Hub'),
};

/** An item of a queue. */
const queued = {
  item: z.string().describe('the checkpoint and the variant'),
  id: z.string().describe('SHA-256 of the models, their names, the options and the version'),
  place: z.string().describe('its result: a folder in the store'),
};

/** Results, by command. */
export const resultSchemas = {
  convert,
  batch: z.union([item, z.strictObject({ path: z.string().describe('of the example that --init wrote') })]),
  submit: z.strictObject({
    ...queued,
    state: z.enum(['new', 'waiting', 'done', 'measure', 'again']),
    result: z.strictObject(outcome).optional(),
  }),
  worker: z.strictObject({
    done: count.describe('steps'),
    failed: count.describe('attempts at steps'),
  }),
  jobs: z.strictObject({
    ...queued,
    ...outcome,
    state: z.enum(itemStates),
    step: z.enum(['fetch', 'convert', 'check', 'publish']),
    attempts: count.describe('at the step'),
    reason: z.string().optional().describe('why the step failed, or is tried again'),
    seconds: z.number().optional().describe('between its submission and its end'),
  }),
  download: z.strictObject({
    path: z.string(),
    repo: z.string(),
    commit: z.string(),
    files: z.array(sized),
    notes: z.array(z.string()),
  }),
  inspect,
  validate: z.strictObject({ verdicts: z.array(verdict) }),
  run: z.strictObject({
    outputs: z.array(z.strictObject({ name: z.string(), dtype: z.string(), shape: z.array(count) })),
    path: z.string().optional(),
    record: z.string().optional(),
  }),
  quantize,
  analyze: z.strictObject({
    points: z.array(point),
    reports: z.array(z.string()),
    chosen: z.strictObject({ point, recipe: z.string(), written: quantize }).optional(),
  }),
  chunk: z.strictObject({ chunks: z.array(z.strictObject({ path: z.string(), byteLength: count })) }),
  compile: z.strictObject({ path: z.string() }),
  bundle: z.strictObject({
    folder: z.string(),
    files: z.array(hashed),
    bundles: z.array(z.strictObject({ client: z.string(), folder: z.string(), files: z.array(hashed) })),
  }),
  verify: z.strictObject({
    path: z.string(),
    repo: z.string().optional().describe('the repository whose files in the Hub’s cache these are'),
    files: count,
    bytes: count,
    problems: z.array(z.string()),
    clients: z
      .array(
        z.strictObject({
          client: z.string(),
          folder: z.string(),
          problems: z.array(z.string()),
          mend: z.string().optional(),
        }),
      )
      .optional(),
  }),
  generate: z.strictObject({ images: z.array(picture) }),
  report: z.strictObject({ card: cardSchema, files: z.array(z.string()) }),
  web: z.strictObject({
    folder: z.string(),
    files: z.array(z.strictObject({ path: z.string(), byteLength: count, sha256 })),
    bytes: count,
    memory: z.strictObject({
      wasm: count.describe('bytes that a browser needs without WebGPU'),
      webGpu: count.describe('bytes that it needs with WebGPU'),
    }),
  }),
  serve: z.strictObject({ folder: z.string(), address: z.string() }),
} as const;

/** Every line but the result. */
export const eventSchema = z.union([
  z.strictObject({ event: z.literal('stage'), stage: z.string(), state: z.literal('started') }),
  z.strictObject({
    event: z.literal('stage'),
    stage: z.string(),
    state: z.literal('finished'),
    detail: z.string(),
    seconds: z.number(),
  }),
  z.strictObject({
    event: z.literal('progress'),
    stage: z.string(),
    what: z.string(),
    done: z.number(),
    total: z.number(),
    unit: z.enum(['bytes', 'steps']).optional(),
  }),
  z.strictObject({ event: z.literal('note'), message: z.string() }),
  z.strictObject({
    event: z.literal('error'),
    name: z.string(),
    problem: z.string(),
    details: texts,
    advice: z.string().optional(),
  }),
]);

/** The schemas as they are published, by the name of their file. */
export function publishedSchemas(): ReadonlyMap<string, object> {
  const results = Object.entries(resultSchemas).map(([command, result]): [string, object] => [
    `${command}.schema.json`,
    titled(
      z.strictObject({ event: z.literal('result'), result }),
      `The result of sdconvert ${command} --json`,
    ),
  ]);
  return new Map([
    ['sdconvert.schema.json', titled(provenanceSchema, 'sdconvert.json, the record of a conversion')],
    ['manifest.schema.json', titled(manifestSchema, 'A manifest of sdconvert batch')],
    ['report-card.schema.json', titled(cardSchema, 'report.json, the report card of a conversion')],
    ['event.schema.json', titled(eventSchema, 'A line of --json that is no result')],
    ...results,
  ]);
}

function titled(schema: z.ZodType, title: string): object {
  const { $schema, ...rest } = z.toJSONSchema(schema);
  return { $schema, title, ...rest };
}
