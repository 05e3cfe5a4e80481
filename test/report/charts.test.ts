import { parseHTML } from 'linkedom';
import { expect, test } from 'vitest';
import { dotChart, lineChart, weightChart } from '../../src/report/charts/draw-charts.ts';

/** Places of the filled circles of a chart, in the order of the points. */
function circles(svg: string): { x: number; y: number }[] {
  const { document } = parseHTML(`<!doctype html><body>${svg}`);
  return [...document.querySelectorAll('circle')].map((circle) => ({
    x: Number(circle.getAttribute('cx')),
    y: Number(circle.getAttribute('cy')),
  }));
}

const points = [
  [0.5, 12.25],
  [3, 40],
  [7.75, 83.5],
] as const;

test('every point of a chart of lines is inside of it, and a larger value further right and up', () => {
  const svg = lineChart({ title: 'title', x: 'x', y: 'y', series: [{ label: 'a & <b>', points }] });
  const found = circles(svg);
  expect(found).toHaveLength(points.length);
  for (const { x, y } of found) {
    expect(x).toBeGreaterThanOrEqual(56);
    expect(x).toBeLessThanOrEqual(720);
    expect(y).toBeGreaterThanOrEqual(0);
    expect(y).toBeLessThanOrEqual(400);
  }
  expect(found.map(({ x }) => x)).toEqual(found.map(({ x }) => x).toSorted((a, b) => a - b));
  expect(found.map(({ y }) => y)).toEqual(found.map(({ y }) => y).toSorted((a, b) => b - a));
  expect(svg).toContain('a &amp; &lt;b&gt;');
});

test('a chart has a name for a screen reader, scales with its page, and takes the page’s colours', () => {
  const svg = weightChart('weights of <unet>', [{ bytes: 1000, decibels: 30, bits: 6 }]);
  expect(svg).toContain('viewBox=');
  const { document } = parseHTML(`<!doctype html><body>${svg}`);
  expect(document.querySelector('svg')?.getAttribute('aria-label')).toBe('weights of <unet>');
  expect(svg).toContain('var(--bits-6');
});

test('charts of one point, of equal points and of none are drawn', () => {
  const one = lineChart({ title: 't', x: 'x', y: 'y', series: [{ label: 'one', points: [[5, 5]] }] });
  const rows = [{ label: 'unet', kind: 0 as const, values: [48, 48] }];
  const equal = dotChart({ title: 't', x: 'dB', rows, limit: { at: 48, label: 'floor' } });
  const none = dotChart({ title: 't', x: 'dB', rows: [{ label: 'unet', kind: 0, values: [] }] });
  for (const svg of [one, equal, none]) expect(svg).not.toMatch(/NaN|undefined|Infinity/);
});
