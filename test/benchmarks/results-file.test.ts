import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { appendRows, circumstances, readRows } from '../../benchmarks/results-file.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const inFolder = temporaryFolder();

test('rows are added to those of earlier runs, below one heading', () => {
  const path = inFolder('results/times.csv');
  appendRows(path, [{ what: 'float16, chunks', wall_s: 1.5 }]);
  appendRows(path, [{ what: 'a "copy"', wall_s: 2 }]);
  expect(readFileSync(path, 'utf8')).toBe('what,wall_s\n"float16, chunks",1.5\n"a ""copy""",2\n');
});

test('what is read of the rows is what was written', () => {
  const rows = [
    { what: 'both, chunks', note: 'a "copy"', wall_s: '1.5', peak: '' },
    { what: '', note: ',', wall_s: '2', peak: '3' },
  ];
  appendRows(inFolder('read.csv'), rows);
  expect(readRows(readFileSync(inFolder('read.csv'), 'utf8'))).toEqual(rows);
});

test('rows of other columns are refused, so that a file keeps one meaning', () => {
  const path = inFolder('columns.csv');
  appendRows(path, [{ what: 'copy', wall_s: 1 }]);
  expect(() => appendRows(path, [{ what: 'copy', cpu_s: 1 }])).toThrow('has other columns: what,wall_s');
});

test('a row says when, on what machine and by which code it was measured', () => {
  expect(circumstances()).toEqual({
    date: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\dZ$/),
    commit: expect.stringMatching(/^[0-9a-f]{7,}(-dirty)?$/),
    cpu: expect.any(String),
    cores: expect.any(Number),
    node: process.version,
  });
});
