import { lineChart } from '../../src/report/charts/draw-charts.ts';

/** A row of what bits do: their number, the size, and the output's PSNR with the same bits for all weights and with mixed ones. */
const ROW = /^\| \d+ \| ([\d.]+) MB \| ([\d.]+) dB \| [\d.]+ dB \| ([\d.]+) dB \| [\d.]+ dB \|$/;

/** The chart of docs/quantization.md, from its table, which `node scripts/bits-and-pictures.ts` measured. Throws `Error` without one. */
export function bitsChart(page: string): string {
  const rows = page
    .split('\n')
    .flatMap((line) => {
      const [found, ...numbers] = ROW.exec(line) ?? [];
      return found === undefined ? [] : [numbers.map(Number)];
    })
    .sort(([a = 0], [b = 0]) => a - b);
  if (rows.length === 0) throw new Error('docs/quantization.md has no table of bits');
  const chart = lineChart({
    title: 'What a UNet loses with fewer bits',
    x: 'size in MB',
    y: 'PSNR of the output in dB',
    series: [
      {
        label: 'mixed bits, at most of that size',
        points: rows.map(([size = 0, , mixed = 0]) => [size, mixed]),
      },
      {
        label: 'the same bits for all weights',
        points: rows.map(([size = 0, uniform = 0]) => [size, uniform]),
      },
    ],
    isAlone: true,
  });
  return `${chart}\n`;
}
