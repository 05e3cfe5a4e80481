import { describe, expect, test } from 'vitest';
import { parseYaml } from '../../src/io/yaml.ts';

describe('a text that would take the parser a stack, or time without end, is refused at once', () => {
  test.each([
    ['brackets', '['.repeat(100_000)],
    ['braces', '{a: '.repeat(50_000)],
    ['dashes', '- '.repeat(100_000)],
    ['keys within keys', '? '.repeat(100_000)],
    ['tags', '!a '.repeat(60_000)],
    ['quotes', '"'.repeat(100_000)],
    [
      'aliases of aliases',
      `a: &a [x]\n${Array.from({ length: 30 }, (_, n) => `b${n}: &b${n} [*${n > 0 ? `b${n - 1}` : 'a'}, *${n > 0 ? `b${n - 1}` : 'a'}]`).join('\n')}`,
    ],
  ])('%s', (_, text) => {
    const before = process.cpuUsage();
    expect(() => parseYaml(text, 50)).toThrow();
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1e6).toBeLessThan(3);
  });
});

test('many keys take no longer than as many values', () => {
  const text = Array.from({ length: 10_000 }, (_, n) => `key-${n}: ${n}`).join('\n');
  const before = process.cpuUsage();
  expect(Object.keys(Object(parseYaml(text, 50).value))).toHaveLength(10_000);
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1e6).toBeLessThan(3); // 11 with the parser's own check of keys
});

test('a key that readers of objects pass over is refused, with its line', () => {
  expect(() => parseYaml('a:\n  __proto__: {b: 4}', 10)).toThrow('no data has a key __proto__');
});

test('a key that stands there twice is named, with its line', () => {
  expect(() => parseYaml('a: 1\nb: { c: 1,\n  c: 2 }', 50)).toThrow(
    expect.objectContaining({ line: 3, message: expect.stringContaining('the key c') }),
  );
});
