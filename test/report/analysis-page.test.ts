import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Analysis } from '../../src/mixed-bits/analysis.ts';
import { plotSvg } from '../../src/mixed-bits/plot.ts';
import { writeReport } from '../../src/report/analysis-page.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();

test('every point of a plot is inside of its frame, and a larger value is further up and to the right', () => {
  const points = [
    [0.5, 12.25],
    [3, 40],
    [7.75, 83.5],
  ] as const;
  const svg = plotSvg([{ label: 'a & b', points }], 'title', { x: 'x', y: 'y' });
  const circles = [...svg.matchAll(/<circle cx="([\d.]+)" cy="([\d.]+)"/g)].map(([, x, y]) => [
    Number(x),
    Number(y),
  ]);
  expect(circles).toHaveLength(points.length);
  for (const [x = 0, y = 0] of circles) {
    expect(x).toBeGreaterThanOrEqual(64);
    expect(x).toBeLessThanOrEqual(696);
    expect(y).toBeGreaterThanOrEqual(44);
    expect(y).toBeLessThanOrEqual(384);
  }
  expect(circles.map(([x]) => x)).toEqual(circles.map(([x = 0]) => x).toSorted((a, b) => a - b));
  expect(circles.map(([, y]) => y)).toEqual(circles.map(([, y = 0]) => y).toSorted((a, b) => b - a));
  expect(svg).toContain('a &amp; b');
});

test('a plot of one point, or of points of one height, is drawn', () => {
  expect(plotSvg([{ label: 'one', points: [[5, 5]] }], 't', { x: 'x', y: 'y' })).not.toContain('NaN');
});

test('a report lists the model’s sizes and every weight, the most sensitive first', async () => {
  const analysis: Analysis = {
    measured: { model: {}, inputs: ['“<b>”, step 2 of 20'], bits: [8, 2], peak: 1 },
    weights: new Map([
      [
        'robust',
        {
          elements: 4096,
          bytes: 8192,
          errors: new Map([
            [2, 1e-6],
            [8, 0],
          ]),
        },
      ],
      [
        'sensitive',
        {
          elements: 4096,
          bytes: 8192,
          errors: new Map([
            [2, 1e-2],
            [8, 1e-4],
          ]),
        },
      ],
    ]),
  };
  const paths = await writeReport(at('unet'), analysis, [
    { bits: 8, bytes: 2e6, psnr: 40 },
    { bits: 'mixed', bytes: 1.9e6, psnr: 60.04 },
  ]);
  const html = readFileSync(at('unet.html'), 'utf8');
  expect(paths).toEqual([at('unet.html'), at('unet.svg')]);
  expect(html).toContain('<tr><td>mixed</td><td>1.9 MB</td><td>60.0 dB</td></tr>');
  expect(html).toContain('<tr><td>sensitive</td><td>4,096</td><td>40.0 dB</td><td>20.0 dB</td></tr>');
  expect(html).toContain('<td>no loss</td><td>60.0 dB</td>');
  expect(html.indexOf('sensitive')).toBeLessThan(html.indexOf('robust'));
  expect(html).toContain('“&lt;b&gt;”, step 2 of 20');
  expect(html).toContain(readFileSync(at('unet.svg'), 'utf8'));
});
