import { basename } from 'node:path';
import { pathFrom } from '../../io/path-from.ts';
import { asDecibels } from '../../validate/decibels.ts';
import type { OutputVerdict, Verdict } from '../../validate/verdict.ts';
import type { Card, CardFile } from '../card.ts';
import { applesNumber, recordedFor } from './recorded.ts';

type Parity = NonNullable<Card['parity']>;

/** Verdicts of a run over models, and in which arithmetic they ran. */
export interface MeasuredVerdicts {
  readonly arithmetic: 'exact' | 'rounded';
  readonly verdicts: readonly Verdict[];
}

/** The parity of models with their reference; `null` where nothing was compared. Paths are relative to the folder. */
export function parityOf(
  folder: string,
  measured: readonly MeasuredVerdicts[],
  files: readonly CardFile[],
  family: string | null,
): Parity | null {
  const [first] = measured.flatMap(({ verdicts }) => verdicts);
  if (!first) return null;
  const models = measured.flatMap(({ arithmetic, verdicts }) =>
    verdicts.map((verdict) => {
      const paths = verdict.paths.map((path) => pathFrom(folder, path));
      const precision = files.find(({ path }) => path === paths[0])?.precision ?? null;
      return {
        network: verdict.model,
        format: verdict.format,
        paths,
        arithmetic,
        ...spread(verdict.outputs),
        pass: verdict.pass,
        outputs: verdict.outputs.map(outputOf),
        recorded: recordedFor(verdict.format, precision, arithmetic, family),
        apple: applesNumber(verdict.model, verdict.format, family),
      };
    }),
  );
  return { reference: basename(first.reference), models };
}

function spread(
  outputs: readonly OutputVerdict[],
): Pick<Parity['models'][number], 'median' | 'lowest' | 'lowestToFloat32'> {
  // A PSNR that is no number is the lowest of all.
  const rank = ({ psnr }: OutputVerdict): number => (Number.isNaN(psnr) ? Number.NEGATIVE_INFINITY : psnr);
  const sorted = outputs.toSorted((a, b) => rank(a) - rank(b) || 0).map(({ psnr }) => psnr);
  const middle = (sorted.length - 1) / 2;
  const [low = Number.NaN, high = Number.NaN] = [sorted[Math.floor(middle)], sorted[Math.ceil(middle)]];
  const losses = outputs.flatMap(({ float32Psnr }) => float32Psnr ?? []);
  return {
    median: asDecibels(low === high ? low : (low + high) / 2),
    lowest: asDecibels(Math.min(...sorted)),
    lowestToFloat32: losses.length > 0 ? asDecibels(Math.min(...losses)) : null,
  };
}

function outputOf({
  name,
  inputs,
  nonFinite,
  pass,
  ...numbers
}: OutputVerdict): Parity['models'][number]['outputs'][number] {
  return {
    name,
    inputs,
    psnr: asDecibels(numbers.psnr),
    applePsnr: asDecibels(numbers.applePsnr),
    float32Psnr: numbers.float32Psnr === undefined ? null : asDecibels(numbers.float32Psnr),
    maxAbsError: asDecibels(numbers.maxAbsError),
    nonFinite: nonFinite.reference + nonFinite.candidate,
    pass,
  };
}
