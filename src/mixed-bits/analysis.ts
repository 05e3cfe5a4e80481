import { z } from 'zod';
import { FileFormatError, OutputExistsError } from '../errors.ts';
import { exists } from '../io/disk.ts';
import { readJsonObject } from '../io/json/python-json.ts';
import { writeJson } from '../io/json/strict-json.ts';
import { whatIsWrong } from '../io/wanted.ts';
import type { WeightChoices } from './choose-bits.ts';
import { UNTOUCHED } from './recipe.ts';

/**
 * How much each weight of a model matters: what its output loses when that weight alone is stored with fewer bits. Kept in
 * a file, so that a measurement of hours can be broken off and resumed, and several targets be tried on one.
 */
export interface Analysis {
  readonly measured: MeasuredOn;
  /** By name, in the order of the model. */
  readonly weights: ReadonlyMap<string, WeightAnalysis>;
  /** Whole models that were written and run, once there are some. */
  readonly points?: readonly MeasuredPoint[] | undefined;
}

/** One way to store a model, written and run. */
export interface MeasuredPoint {
  /** The bits of all weights, or `mixed`. */
  readonly bits: number | 'mixed';
  /** Of all files of the model. */
  readonly bytes: number;
  /** PSNR in dB of the outputs over all inputs, against the model as it was. */
  readonly psnr: number;
}

/** Subject and conditions of a measurement; it is resumed only where all of them are equal. */
export interface MeasuredOn {
  /** SHA-256 of each file of the model. */
  readonly model: Readonly<Record<string, string>>;
  /** Labels of the inputs: `“a prompt”, step 2 of 20`. */
  readonly inputs: readonly string[];
  readonly bits: readonly number[];
  /** The largest |output| on these inputs: the peak of a PSNR. */
  readonly peak: number;
}

export interface WeightAnalysis {
  readonly elements: number;
  /** Bytes it takes as it is. */
  readonly bytes: number;
  /** Mean squared error of the model's outputs, by bits. */
  readonly errors: ReadonlyMap<number, number>;
}

/** Bits of a weight, of which there are few. */
const bits = z.int().min(1).max(16);

/** Bytes or elements. */
const amount = z.int().min(0);

/** More whole models than anybody measures. */
const MOST_POINTS = 1000;

const schema = z.object({
  measured: z.object({
    model: z.record(z.string(), z.string()),
    inputs: z.array(z.string()),
    bits: z.array(bits).max(16),
    peak: z.number().min(0),
  }),
  weights: z.record(
    z.string(),
    z.object({
      elements: amount,
      bytes: amount,
      errors: z.record(z.string().regex(/^([1-9]|1[0-6])$/, 'bits from 1 to 16'), z.number().min(0)),
    }),
  ),
  points: z
    .array(
      z.object({
        bits: z.union([bits, z.literal('mixed')], 'bits from 1 to 16, or mixed'),
        bytes: amount,
        psnr: z.number(),
      }),
    )
    .max(MOST_POINTS)
    .optional(),
});

/**
 * Reads an analysis; `undefined` where there is none yet. Throws `FileFormatError` for another file, and
 * `OutputExistsError` when it was made of something else than `expected`.
 */
export async function readAnalysis(path: string, expected: MeasuredOn): Promise<Analysis | undefined> {
  if (!(await exists(path))) return undefined;
  const found = await openAnalysis(path);
  for (const key of ['model', 'inputs', 'bits'] as const) {
    if (JSON.stringify(found.measured[key]) === JSON.stringify(expected[key])) continue;
    throw new OutputExistsError({
      problem: `${path} was measured on another ${key === 'model' ? 'model' : `choice of ${key}`}.`,
      advice: 'Name another file for this measurement, or remove this one.',
    });
  }
  return found;
}

/** Reads an analysis of whatever model. Throws `NotFoundError`, and `FileFormatError` for another file. */
export async function openAnalysis(path: string): Promise<Analysis> {
  const { data, error } = schema.safeParse(await readJsonObject(path), { reportInput: true });
  if (!data) {
    throw new FileFormatError({
      problem: `${path} is not an analysis as sdconvert writes it.`,
      details: whatIsWrong(error),
      advice: 'Name another file, or remove this one.',
    });
  }
  const weights = Object.entries(data.weights).map(
    ([name, { errors, ...rest }]): [string, WeightAnalysis] => [
      name,
      { ...rest, errors: new Map(Object.entries(errors).map(([bits, value]) => [Number(bits), value])) },
    ],
  );
  return { measured: data.measured, weights: new Map(weights), points: data.points };
}

/** Writes an analysis, complete or not at all. */
export async function writeAnalysis(path: string, { measured, weights, points }: Analysis): Promise<void> {
  const plain = Object.fromEntries(
    [...weights].map(([name, { errors, ...rest }]) => [
      name,
      { ...rest, errors: Object.fromEntries(errors) },
    ]),
  );
  // A model that lost nothing has no PSNR that JSON could hold.
  const finite = points?.filter(({ psnr }) => Number.isFinite(psnr));
  await writeJson(path, { measured, weights: plain, ...(finite && { points: finite }) }, 1);
}

/** The choices for each weight: as it is, or a palette of the widths for which `bytesOf` knows its size. */
export function choicesOf(
  { weights }: Analysis,
  bytesOf: (name: string, bits: number) => number | undefined,
): WeightChoices[] {
  return [...weights].map(([name, { bytes, errors }]) => ({
    name,
    choices: [
      { bits: UNTOUCHED, bytes, error: 0 },
      ...[...errors].flatMap(([bits, error]) => {
        const size = bytesOf(name, bits);
        return size === undefined ? [] : [{ bits, bytes: size, error }];
      }),
    ],
  }));
}

/** The PSNR of a mean squared error, in dB. */
export function psnrOf(error: number, peak: number): number {
  return 10 * Math.log10(peak ** 2 / error);
}

/** The mean squared error of a PSNR in dB. */
export function errorOf(psnr: number, peak: number): number {
  return peak ** 2 / 10 ** (psnr / 10);
}
