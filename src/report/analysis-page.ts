import { writeText } from '../io/disk.ts';
import { formatBytes } from '../text.ts';
import { type Analysis, psnrOf } from '../mixed-bits/analysis.ts';
import { escapeXml, plotSvg } from '../mixed-bits/plot.ts';

/** One way to store a model, written and run. */
export interface MeasuredPoint {
  /** The bits of all weights, or `mixed`. */
  readonly bits: number | 'mixed';
  /** Of all files of the model. */
  readonly bytes: number;
  /** PSNR in dB of the outputs over all inputs, against the model as it was. */
  readonly psnr: number;
}

/** Writes `<path>.svg`, PSNR against size, and `<path>.html` with the same, tables and measurements. Returns their paths. */
export async function writeReport(
  path: string,
  { measured, weights }: Analysis,
  points: readonly MeasuredPoint[],
): Promise<readonly string[]> {
  const line = (label: string, isOf: (point: MeasuredPoint) => boolean) => ({
    label,
    points: points
      .filter(isOf)
      .map(({ bytes, psnr }): [number, number] => [bytes / 1e6, psnr])
      .sort(([a], [b]) => a - b),
  });
  const svg = plotSvg(
    [
      line('mixed bits', ({ bits }) => bits === 'mixed'),
      line('the same bits for all weights', ({ bits }) => bits !== 'mixed'),
    ],
    'What a UNet loses with fewer bits',
    { x: 'size in MB', y: 'PSNR of the output in dB' },
  );
  const widths = measured.bits;
  const ranked = [...weights].sort(([, a], [, b]) => harm(b.errors) - harm(a.errors));
  const html = [
    '<!doctype html>',
    '<html lang="en">',
    '<meta charset="utf-8">',
    '<title>Bits and quality</title>',
    '<style>body{font:15px/1.5 sans-serif;margin:2em auto;max-width:60em;padding:0 1em}table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .8em;border-bottom:1px solid #ddd;text-align:right}td:first-child,th:first-child{text-align:left}</style>',
    '<h1>Bits and quality</h1>',
    svg,
    '<h2>The model as a whole, written and run</h2>',
    table(
      ['bits', 'size', 'PSNR'],
      points.map(({ bits, bytes, psnr }) => [String(bits), formatBytes(bytes), decibels(psnr)]),
    ),
    '<h2>Each weight alone: PSNR of the output when only it has so many bits</h2>',
    table(
      ['weight', 'elements', ...widths.map((bits) => `${bits} bits`)],
      ranked.map(([name, { elements, errors }]) => [
        name,
        elements.toLocaleString('en'),
        ...widths.map((bits) => decibels(psnrOf(errors.get(bits) ?? 0, measured.peak))),
      ]),
    ),
    '<h2>Measured on</h2>',
    `<ul>${measured.inputs.map((input) => `<li>${escapeXml(input)}</li>`).join('')}</ul>`,
    '</html>',
    '',
  ].join('\n');
  await writeText(`${path}.svg`, svg);
  await writeText(`${path}.html`, html);
  return [`${path}.html`, `${path}.svg`];
}

/** Loss of a weight with the fewest bits. */
function harm(errors: ReadonlyMap<number, number>): number {
  return Math.max(0, ...errors.values());
}

function decibels(psnr: number): string {
  return Number.isFinite(psnr) ? `${psnr.toFixed(1)} dB` : 'no loss';
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[], tag: 'th' | 'td') =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeXml(cell)}</${tag}>`).join('')}</tr>`;
  return ['<table>', row(head, 'th'), ...rows.map((cells) => row(cells, 'td')), '</table>'].join('\n');
}
