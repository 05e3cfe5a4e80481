import { expect, test } from 'vitest';
import { FileFormatError } from '../src/errors.ts';
import { shown } from '../src/io/error-text.ts';
import { nearestOf, printable } from '../src/text.ts';

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
  expect(printable('line\n\tindented 你好 🙂')).toBe('line\n\tindented 你好 🙂');
});

test('an error has nothing else in any of its parts, and no part of it is long', () => {
  const name = `\x1b[31m${'x\x12'.repeat(1e6)}`;
  const error = new FileFormatError({ problem: name, details: { [name]: name }, advice: name });
  expect(error.message).not.toMatch(/(?!\n)\p{Cc}/u);
  expect(error.message.length).toBeLessThan(4 * 1600);
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
