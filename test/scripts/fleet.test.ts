import { expect, test } from 'vitest';
import { withSizing } from '../../scripts/docs/fleet.ts';

const conversion = {
  wall_s: '10.0',
  written_mb: '2000.0',
  cores: '2',
  cpu: 'Some CPU',
  date: '2026-01-01T10:00Z',
};
const queue = [{ date: '2026-01-02T10:00Z', what: 'calm', jobs: '200', redis_bytes_per_job: '5000' }];
const mark = 'written by `npm run docs` from benchmarks/results/full-size.csv and queue.csv';
const page = `before\n<!-- sizing: ${mark} -->\nan outdated table\n<!-- /sizing -->\nafter`;

test('what limits a fleet is computed from what was measured', () => {
  const text = withSizing(page, conversion, queue);
  expect(text).toMatch(/^before\n.*after$/s);
  expect(text).not.toContain('outdated');
  const rows = text.split('\n').map((line) => line.split('|').map((cell) => cell.trim()));
  const [, , , ...numbers] = rows.find(([, checkpoints]) => checkpoints === '1,000') ?? [];
  // 1,000 checkpoints of 4.27 GB: 34 s each on the line, a tenth of 10 s on ten workers, 20 turns of the Hub in a minute.
  expect(numbers).toEqual([
    '9 hours',
    '17 minutes',
    '50 minutes',
    '4.3 TB',
    '2.0 TB',
    '5.0 MB',
    'the line, 9 hours',
    '',
  ]);
  // One worker leaves the line idle while it converts; with a second one it never is.
  expect(text).toContain('is full with 2 workers that download everything anew');
  // While one that converts for 100 s downloads 34 s long, nearly three others can.
  expect(withSizing(page, { ...conversion, wall_s: '100' }, queue)).toContain('is full with 4 workers');
  expect(withSizing(text, conversion, queue)).toBe(text);
});

test('without measurements there are no numbers', () => {
  expect(() => withSizing(page, undefined, queue)).toThrow('no row of sd15, ONNX');
});
