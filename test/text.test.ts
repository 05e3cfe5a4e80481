import { expect, test } from 'vitest';
import { noteLine } from '../cli/log-lines.ts';
import { visibleEvent } from '../cli/visible.ts';
import { FileFormatError } from '../src/errors.ts';
import { shown } from '../src/io/error-text.ts';
import { alignColumns, nearestOf, printable } from '../src/text.ts';

test('the nearest of several names is found in any case', () => {
  const names = ['onnx', 'coreml', 'coreai', 'macOS13', 'SPLIT_EINSUM'];
  expect(
    ['CoreAI', 'COREML', 'macos14', 'split-einsum', 'tflite'].map((each) => nearestOf(each, names)),
  ).toEqual(['coreai', 'coreml', 'macOS13', 'SPLIT_EINSUM', undefined]);
});

test('what would steer a terminal, turn the text round or be invisible is shown as an escape', () => {
  expect(printable('a\x1b]0;b\x07 \u202ec \u009b1m \ud800 \u{e0041}')).toBe(
    'a\\u001b]0;b\\u0007 \\u202ec \\u009b1m \\ud800 \\udb40\\udc41',
  );
  for (const hidden of '\u007f\u0085\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a\u202e\u2028\u2060\u2066\u2069\ufeff')
    expect(printable(`a${hidden}b`)).toBe(`a\\u${hidden.charCodeAt(0).toString(16).padStart(4, '0')}b`);
  expect(printable('line\n\tindented 你好 🙂')).toBe('line\n\tindented 你好 🙂');
});

test('an error has nothing else in any of its parts, and no part of it is long', () => {
  const name = `\x1b[31m${'x\x12'.repeat(1e6)}`;
  const error = new FileFormatError({ problem: name, details: { [name]: name }, advice: name });
  expect(error.message).not.toMatch(/(?!\n)\p{Cc}/u);
  expect(error.message.length).toBeLessThan(4 * 1600);
});

test('no name passes for a line of sdconvert’s own', () => {
  const name = 'a\n\nNext: b\tc';
  const error = new FileFormatError({ problem: name, details: { [name]: name }, advice: name });
  expect(error.message.split('\n')).toEqual([
    'a Next: b c',
    '  a Next: b c  a',
    `${' '.repeat(15)}`,
    `${' '.repeat(15)}Next: b\tc`,
    'a Next: b c',
  ]);
  expect(
    alignColumns([
      ['name', 'n'],
      [name, '1'],
    ]).split('\n'),
  ).toEqual(['name         n', 'a Next: b c  1']);
  expect(noteLine(name)).toBe('note       a Next: b c');
  expect(visibleEvent({ type: 'note', message: name })).toEqual({ type: 'note', message: 'a Next: b c' });
});

test('a cell as large as a file makes no table that nothing can hold', () => {
  const rows = Array.from({ length: 20 }, (_, at) => [at === 0 ? 'x'.repeat(2 ** 26) : 'y', 'z']);
  expect(alignColumns(rows).length).toBeLessThan(20 * 1600);
});

test('a table has as many rows as there are', () => {
  const rows = Array.from({ length: 200_000 }, () => ['a', 'b']);
  expect(alignColumns(rows).length).toBe(200_000 * 5 - 1);
});

test('any value of a file can be shown', () => {
  const deep = JSON.parse('['.repeat(50_000) + ']'.repeat(50_000));
  expect(shown(deep)).toBe('[[[…]]]');
  expect(shown({ a: null, b: [1, 2, 3, 4, 5, 6, 7, 8], c: { d: { e: {} } } })).toBe(
    '{ a: null, b: [1, 2, 3, 4, 5, 6, …], c: { d: {…} } }',
  );
  expect(shown('\x1b'.repeat(1000)).length).toBeLessThanOrEqual(120);
  expect(shown(undefined)).toBe('undefined');
  expect(shown(Object.create(null))).toBe('{}');
});
