import { type Analysis, choicesOf, psnrOf } from '../../mixed-bits/analysis.ts';
import { allocations } from '../../mixed-bits/choose-bits.ts';
import { plainName } from '../../quantize/plan.ts';
import { asDecibels } from '../../validate/decibels.ts';
import type { Card } from '../card.ts';

type Curve = NonNullable<Card['curve']>;
type Point = Curve['mixed'][number];

/** Points of a curve that a page shows; between them it is straight. */
const MOST_POINTS = 60;

/** Bytes of a palette's entry. */
const ENTRY = 2;

/** The UNet whose bits were chosen: what its weights have, and the bytes of all its files. */
export interface ChosenBits {
  readonly layers: Card['layers'][number];
  readonly bytes: number;
}

/**
 * Bytes of a UNet against the PSNR of its output: of whole models where the analysis measured some, else predicted from what single
 * weights lose at fewer bits, added up. The choice is always predicted.
 */
export function curveOf(analysis: Analysis, chosen: ChosenBits | undefined): Curve {
  const { points } = analysis;
  const choice = chosen && lossOf(analysis, chosen.layers);
  const marked = (bytes: number): Curve['chosen'] =>
    choice && choice.error > 0 ? pointOf(analysis, 'this model (predicted)', bytes, choice.error) : null;
  if (points === undefined || points.length === 0)
    return { of: 'unet', ...predicted(analysis), chosen: choice ? marked(choice.bytes) : null };
  const measured = points.map(({ bits, bytes, psnr }) => ({
    label: bits === 'mixed' ? 'mixed' : `${bits} bits`,
    bytes,
    psnr: asDecibels(psnr),
  }));
  return {
    of: 'unet',
    how: `Measured: whole models, written and run on ${analysis.measured.inputs.length} inputs`,
    mixed: measured.filter(({ label }) => label === 'mixed'),
    uniform: measured.filter(({ label }) => label !== 'mixed'),
    chosen: chosen ? marked(chosen.bytes) : null,
  };
}

function predicted(analysis: Analysis): Pick<Curve, 'how' | 'mixed' | 'uniform'> {
  const { measured, weights } = analysis;
  const sizes = (name: string, bits: number) => sizeOf(analysis, name, bits);
  const all = [...allocations(choicesOf(analysis, sizes))].filter(({ error }) => error > 0);
  const uniform = measured.bits.map((bits) => {
    let [bytes, error] = [0, 0];
    for (const [name, { errors }] of weights) {
      bytes += sizes(name, bits);
      error += errors.get(bits) ?? 0;
    }
    return pointOf(analysis, `${bits} bits`, bytes, error);
  });
  return {
    how: `Predicted, of its large weights alone: what each weight loses by itself, measured on ${measured.inputs.length} inputs, added up`,
    mixed: thinned(all).map(({ bytes, error }) => pointOf(analysis, 'mixed', bytes, error)),
    uniform,
  };
}

function pointOf({ measured }: Analysis, label: string, bytes: number, error: number): Point {
  return { label, bytes: Math.round(bytes), psnr: asDecibels(psnrOf(error, measured.peak)) };
}

/** Bytes of a weight as a palette and its indices. */
function sizeOf({ weights }: Analysis, name: string, bits: number): number {
  return Math.ceil(((weights.get(name)?.elements ?? 0) * bits) / 8) + ENTRY * 2 ** bits;
}

/** What a model loses by the bits that it has, predicted; `undefined` where some were not measured. */
function lossOf(
  analysis: Analysis,
  layers: Card['layers'][number],
): { readonly bytes: number; readonly error: number } | undefined {
  const bits = new Map(layers.weights.map((weight) => [plainName(weight.name), weight.bits]));
  let [bytes, error] = [0, 0];
  for (const [name, weight] of analysis.weights) {
    const own = bits.get(plainName(name));
    const loss = own === undefined ? 0 : weight.errors.get(own);
    if (loss === undefined) return undefined;
    bytes += own === undefined ? weight.bytes : sizeOf(analysis, name, own);
    error += loss;
  }
  return { bytes, error };
}

/** Evenly spaced ones of many, with the first and the last. */
function thinned<T>(all: readonly T[]): T[] {
  const step = Math.max(1, (all.length - 1) / (MOST_POINTS - 1));
  const kept = Array.from({ length: Math.min(all.length, MOST_POINTS) }, (_, i) => all[Math.round(i * step)]);
  return kept.filter((each) => each !== undefined);
}
