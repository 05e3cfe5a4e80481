import { readFileSync } from 'node:fs';
import { parseHTML } from 'linkedom';
import { expect, test } from 'vitest';
import type { Analysis } from '../../src/mixed-bits/analysis.ts';
import { writeAnalysisPage } from '../../src/report/analysis-page.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();

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
  const paths = await writeAnalysisPage(at('unet'), analysis, [
    { bits: 8, bytes: 2e6, psnr: 40 },
    { bits: 'mixed', bytes: 1.9e6, psnr: 60.04 },
    { bits: 2, bytes: 1e6, psnr: Number.NaN },
    { bits: 6, bytes: 1e6, psnr: Number.NEGATIVE_INFINITY },
    { bits: 4, bytes: 1e6, psnr: Number.POSITIVE_INFINITY },
  ]);
  const html = readFileSync(at('unet.html'), 'utf8');
  expect(paths).toEqual([at('unet.html'), at('unet.svg')]);
  const { document } = parseHTML(html);
  const rows = [...document.querySelectorAll('tr')].map((row) =>
    [...row.children].map((cell) => cell.textContent),
  );
  expect(rows).toContainEqual(['mixed', '1.9 MB', '60.0 dB']);
  expect(rows).toContainEqual(['2', '1.0 MB', 'not a number']);
  expect(rows).toContainEqual(['6', '1.0 MB', '-∞ dB']);
  expect(rows).toContainEqual(['4', '1.0 MB', 'no loss']);
  const sensitive = rows.findIndex(([name]) => name === 'sensitive');
  expect(rows[sensitive]).toEqual(['sensitive', '4,096', '40.0 dB', '20.0 dB']);
  expect(rows[sensitive + 1]).toEqual(['robust', '4,096', 'no loss', '60.0 dB']);
  expect(document.querySelector('li')?.textContent).toBe('“<b>”, step 2 of 20');
  expect(document.querySelectorAll('svg[role=img]')).toHaveLength(1);
  expect(readFileSync(at('unet.svg'), 'utf8')).toContain('xmlns="http://www.w3.org/2000/svg"');
});
