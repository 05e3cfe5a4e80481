import { writeText } from '../io/disk.ts';
import { type Analysis, type MeasuredPoint, psnrOf } from '../mixed-bits/analysis.ts';
import { formatBytes } from '../text.ts';
import { decibelText } from '../validate/decibels.ts';
import { lineChart } from './charts/draw-charts.ts';
import { html, Markup } from './render/markup.ts';
import { cardStyle } from './render/style.ts';
import { chart, table } from './render/table.ts';

/** Writes `<path>.svg`, PSNR against size, and `<path>.html` with the same, tables and measurements. Returns their paths. */
export async function writeAnalysisPage(
  path: string,
  { measured, weights }: Analysis,
  points: readonly MeasuredPoint[],
): Promise<readonly string[]> {
  const line = (label: string, isOf: (point: MeasuredPoint) => boolean) => ({
    label,
    points: points
      .filter((point) => isOf(point) && Number.isFinite(point.psnr))
      .map(({ bytes, psnr }): [number, number] => [bytes / 1e6, psnr])
      .sort(([a], [b]) => a - b),
  });
  const plot = {
    title: 'What a UNet loses with fewer bits',
    x: 'size in MB',
    y: 'PSNR of the output in dB',
    series: [
      line('mixed bits', ({ bits }) => bits === 'mixed'),
      line('the same bits for all weights', ({ bits }) => bits !== 'mixed'),
    ],
  };
  const widths = measured.bits;
  const ranked = [...weights].sort(([, a], [, b]) => harm(b.errors) - harm(a.errors));
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Bits and quality</title>
<style>${new Markup(cardStyle)}</style>
</head>
<body>
<h1>Bits and quality</h1>
<main>
<section><h2>The model as a whole, written and run</h2>
${chart(plot.title, new Markup(lineChart(plot)))}
${table(
  'PSNR of the output against the model as it was',
  ['Bits', { number: 'Size' }, { number: 'PSNR' }],
  points.map(({ bits, bytes, psnr }) => [bits, formatBytes(bytes), lossText(psnr)]),
)}</section>
<section><h2>Each weight alone</h2>
${table(
  'PSNR of the output when only this weight has so many bits, the most sensitive first',
  ['Weight', { number: 'Numbers' }, ...widths.map((bits) => ({ number: `${bits} bits` }))],
  ranked.map(([name, { elements, errors }]) => [
    name,
    elements.toLocaleString('en'),
    ...widths.map((bits) => lossText(psnrOf(errors.get(bits) ?? 0, measured.peak))),
  ]),
)}</section>
<section><h2>Measured on</h2>
<ul>${measured.inputs.map((input) => html`<li>${input}</li>`)}</ul></section>
</main>
</body>
</html>
`;
  await writeText(`${path}.svg`, `${lineChart({ ...plot, isAlone: true })}\n`);
  await writeText(`${path}.html`, page.text);
  return [`${path}.html`, `${path}.svg`];
}

/** Loss of a weight with the fewest bits. */
function harm(errors: ReadonlyMap<number, number>): number {
  return Math.max(0, ...errors.values());
}

function lossText(psnr: number): string {
  return psnr === Number.POSITIVE_INFINITY ? 'no loss' : decibelText(psnr);
}
