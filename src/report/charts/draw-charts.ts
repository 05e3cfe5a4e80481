import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import { printable } from '../../text.ts';

/**
 * The charts of the pages that sdconvert writes, as SVG, by Observable Plot on a document without a browser. Text is drawn in the
 * colour of its surroundings and marks in variables of the page, so that one drawing serves light, dark and print. Plot and its
 * document are built into this file when the package is (docs/decisions/0027-charts-at-build-time.md): nothing else imports them.
 */

/** Okabe and Ito's colours, which the colour-blind can tell apart; a page may set others. */
const colours = ['var(--mark-1, #0072b2)', 'var(--mark-2, #d55e00)', 'var(--mark-3, #009e73)'] as const;

const WIDTH = 720;
/** Pixels of a row of a chart with names, and of a letter of them. */
const [ROW, LETTER] = [26, 6.4];
const MOST_LETTERS = 44;

/** A line: points (x, y) in the order of x. */
export interface Series {
  readonly label: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** A chart of lines, with at most three of them; `marked` is a point with its name. */
export interface LineChart {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly series: readonly Series[];
  readonly marked?: { readonly label: string; readonly at: readonly [x: number, y: number] } | undefined;
  /** Whether it is a file of its own, on white. */
  readonly isAlone?: boolean | undefined;
}

/** Draws lines with their points. */
export function lineChart({ title, x, y, series, marked, isAlone }: LineChart): string {
  const data = series.flatMap(({ label, points }, index) =>
    points.map(([px, py]) => ({ x: px, y: py, label, colour: colours[index % colours.length] })),
  );
  const choice = marked ? [{ x: marked.at[0], y: marked.at[1], label: printable(marked.label) }] : [];
  const marks = [
    Plot.line(data, { x: 'x', y: 'y', z: 'label', stroke: 'colour', strokeWidth: 2 }),
    Plot.dot(data, { x: 'x', y: 'y', fill: 'colour', r: 3 }),
    ...series.map(({ label }, index) => {
      const place = { frameAnchor: 'top-left', dx: 12, dy: 8 + 18 * index } as const;
      return Plot.text([`● ${printable(label)}`], {
        ...place,
        fill: colours[index % colours.length] ?? '',
        fontWeight: 600,
      });
    }),
    Plot.dot(choice, { x: 'x', y: 'y', r: 9, stroke: 'currentColor', strokeWidth: 2.5 }),
    Plot.text(choice, {
      x: 'x',
      y: 'y',
      text: 'label',
      dx: 14,
      dy: 14,
      textAnchor: 'start',
      fontWeight: 600,
    }),
  ];
  return drawn(
    {
      height: 400,
      marginLeft: 56,
      marginBottom: 44,
      x: { label: x, grid: true, nice: true, domain: domainOf(data.map((each) => each.x)) },
      y: { label: y, grid: true, nice: true, domain: domainOf(data.map((each) => each.y)) },
      marks,
    },
    title,
    isAlone ?? false,
  );
}

/** A named row of a chart of dots. */
export interface DotRow {
  readonly label: string;
  /** Which of the three colours and signs. */
  readonly kind: 0 | 1 | 2;
  readonly values: readonly number[];
}

/** Draws a row of dots for each name, with the smallest of each row marked and a line at a limit. */
export function dotChart({
  title,
  x,
  rows,
  limit,
}: {
  readonly title: string;
  readonly x: string;
  readonly rows: readonly DotRow[];
  readonly limit?: { readonly at: number; readonly label: string } | undefined;
}): string {
  const labels = rows.map(({ label }) => cut(label));
  const dots = rows.flatMap(({ kind, values }, index) =>
    values.map((value) => ({
      value,
      row: labels[index] ?? '',
      kind,
      isLowest: value === Math.min(...values),
    })),
  );
  const signs = ['circle', 'diamond', 'square'] as const;
  const marks = ([0, 1, 2] as const).flatMap((kind) => {
    const own = dots.filter((dot) => dot.kind === kind);
    const place = { x: 'value', y: 'row', symbol: signs[kind] };
    return [
      Plot.dot(own, { ...place, stroke: colours[kind], r: 4.5, strokeWidth: 1.5 }),
      Plot.dot(
        own.filter(({ isLowest }) => isLowest),
        { ...place, fill: colours[kind], r: 5 },
      ),
    ];
  });
  const limits = limit ? [limit] : [];
  return drawn(
    {
      height: 72 + ROW * rows.length,
      marginLeft: marginFor(labels),
      marginTop: 28,
      marginBottom: 44,
      x: {
        label: x,
        grid: true,
        nice: true,
        domain: domainOf([limit?.at ?? Number.NaN, ...dots.map(({ value }) => value)]),
      },
      y: { label: null, domain: labels, type: 'point', padding: 0.6 },
      marks: [
        Plot.ruleX(limits, {
          x: 'at',
          stroke: 'var(--fail, #b3261e)',
          strokeWidth: 2,
          strokeDasharray: '5 4',
        }),
        Plot.text(limits, {
          x: 'at',
          text: 'label',
          frameAnchor: 'top',
          dy: -18,
          fill: 'var(--fail, #b3261e)',
          fontWeight: 600,
        }),
        ...marks,
      ],
    },
    title,
  );
}

/** A weight of a chart of weights. */
export interface WeightDot {
  readonly bytes: number;
  readonly decibels: number;
  readonly bits: number;
}

/** Colours of bits, from few (warm) to many (cool). */
export const bitColours: readonly (readonly [bits: number, colour: string])[] = [
  [1, 'var(--bits-1, #7f0000)'],
  [2, 'var(--bits-2, #b2182b)'],
  [3, 'var(--bits-3, #d6604d)'],
  [4, 'var(--bits-4, #b35806)'],
  [6, 'var(--bits-6, #4393c3)'],
  [8, 'var(--bits-8, #2166ac)'],
];

/** Draws weights by size and error, with their bits as colour. */
export function weightChart(title: string, weights: readonly WeightDot[]): string {
  const known = new Map(bitColours);
  const data = weights.map((weight) => ({ ...weight, colour: known.get(weight.bits) ?? 'currentColor' }));
  return drawn(
    {
      height: 320,
      marginLeft: 56,
      marginBottom: 44,
      x: { type: 'log', label: 'size in bytes', grid: true, tickFormat: '~s' },
      y: { label: 'signal to error of the weight in dB', grid: true, nice: true },
      marks: [Plot.dot(data, { x: 'bytes', y: 'decibels', stroke: 'colour', r: 4, strokeWidth: 1.8 })],
    },
    title,
  );
}

function drawn(options: Plot.PlotOptions, title: string, isAlone = false): string {
  const { document } = parseHTML('<!doctype html><html><body></body></html>');
  const style = {
    fontFamily: isAlone ? 'sans-serif' : 'inherit',
    fontSize: '12px',
    background: isAlone ? '#fff' : 'none',
    overflow: 'visible',
  };
  // as: the types of Plot are of a browser, which is not here.
  const svg = Plot.plot({ ...options, width: WIDTH, style, document: document as never }) as unknown as Drawn;
  // Names of the parts, which only help where the chart is not one picture.
  for (const part of svg.querySelectorAll('[aria-label]')) part.removeAttribute('aria-label');
  svg.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', printable(title));
  return svg.outerHTML;
}

/** What is used of an element. */
interface Drawn {
  readonly outerHTML: string;
  setAttribute(name: string, value: string): void;
  removeAttribute(name: string): void;
  querySelectorAll(selector: string): Iterable<Drawn>;
}

/** From the smallest to the largest finite number; a little around a single one. */
function domainOf(values: readonly number[]): [number, number] {
  const finite = values.filter(Number.isFinite);
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  if (finite.length === 0) return [0, 1];
  return low === high ? [low - 1, high + 1] : [low, high];
}

function marginFor(labels: readonly string[]): number {
  return 24 + LETTER * Math.max(0, ...labels.map(({ length }) => length));
}

function cut(text: string): string {
  const label = printable(text);
  return label.length > MOST_LETTERS ? `${label.slice(0, MOST_LETTERS - 1)}…` : label;
}
