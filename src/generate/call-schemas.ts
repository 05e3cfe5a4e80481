import { z } from 'zod';
import { bothStatistics } from '../convert/config/number-ranges.ts';
import { anything } from '../io/check-call.ts';
import { tensor } from '../weights/tensor-schema.ts';

/** What calls of the pieces that draw are given, for callers without a type checker. */

export const image = z
  .looseObject({
    width: z.int().min(1),
    height: z.int().min(1),
    channels: z.literal([3, 4]),
    data: anything('a Uint8Array', ArrayBuffer.isView),
  })
  .refine(
    ({ width, height, channels, data }) => Reflect.get(Object(data), 'length') === width * height * channels,
    { path: ['data'], error: 'expected width · height · channels bytes' },
  );

export const sheetCell = z.looseObject({ image, label: z.string().optional() });

export const runner = anything('an object with a function run', (value) => isFunction(value, 'run'));

export const tokenizer = anything('a ClipTokenizer', (value) => isFunction(value, 'encode'));

const aFunction = z.custom((value) => typeof value === 'function', 'expected a function');

/** What every beginning needs. */
export const beginning = z.looseObject({
  schedulers: z.array(
    anything('a scheduler, as createScheduler makes them', (value) => isFunction(value, 'step')),
  ),
  shape: z.array(z.int().min(1)).readonly(),
  normal: aFunction,
});

function isFunction(value: object, name: string): boolean {
  return typeof Reflect.get(value, name) === 'function';
}

const pair = z.tuple([z.number(), z.number()]);

export const pictureSizes = z.looseObject({ original: pair, crop: pair, target: pair });

const statistics = z.array(z.number()).readonly().optional();

export const latentScale = z
  .looseObject({
    factor: z.number(),
    shift: z.number(),
    mean: statistics,
    std: statistics,
  })
  .refine(...bothStatistics);

export const pictureFacts = z.looseObject({
  prompt: z.string(),
  seed: z.number(),
  index: z.number().optional(),
  label: z.string().optional(),
  strength: z.number().optional(),
  step: z.number().optional(),
});

export const promptOptions = z.looseObject({ maxLength: z.int() });

export const inversion = z.looseObject({ token: z.string(), embeddings: z.looseObject({}) });

export const predictor = z.looseObject({
  unet: runner,
  guidance: z.looseObject({ rows: z.array(z.string()).readonly() }),
  conditioning: z.looseObject({}),
});

export const tileSizes = z.looseObject({ input: z.number(), output: z.number() });

export const denoising = z.looseObject({
  pictures: z.array(z.looseObject({ latents: tensor })).readonly(),
  timesteps: z.array(z.number()).readonly(),
  predict: aFunction,
  normal: aFunction,
});
