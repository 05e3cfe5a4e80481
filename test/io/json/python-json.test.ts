import { expect, test, vi } from 'vitest';
import { FileFormatError, NotFoundError } from '../../../src/errors.ts';
import { writeText } from '../../../src/io/disk.ts';
import { parsePythonJson, readJsonObject } from '../../../src/io/json/python-json.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { rejectionOf } from '../../support/thrown-by.ts';

const at = temporaryFolder();

test('the numbers that only Python writes are read', () => {
  const text =
    '{"lambda_min_clipped": -Infinity, "max": Infinity, "none": NaN, "list": [NaN,-Infinity , 1.0]}';
  expect(parsePythonJson(text, 'scheduler_config.json')).toEqual({
    lambda_min_clipped: -Infinity,
    max: Infinity,
    none: Number.NaN,
    list: [Number.NaN, -Infinity, 1],
  });
});

test('the same words inside of strings stay words', () => {
  const value = { NaN: 'NaN', '-Infinity': 'say \\"-Infinity\\", NaN#', n: ['NaN#', 'NaN##'] };
  expect(parsePythonJson(JSON.stringify(value), 'f')).toEqual(value);
  expect(parsePythonJson('["NaN#", NaN, "NaN##"]', 'f')).toEqual(['NaN#', Number.NaN, 'NaN##']);
});

test.each([
  '',
  '{',
  '{"a": 1Infinity}',
  '{"a": xNaN}',
  '{"a": NaNs}',
  '{"a": Infinity_}',
  '{"a": +Infinity}',
  "{'a': 1}",
])('a text that is not JSON is refused with its file’s name: %s', (text) => {
  expect(() => parsePythonJson(text, 'unet/config.json')).toThrow(FileFormatError);
  expect(() => parsePythonJson(text, 'unet/config.json')).toThrow('unet/config.json is not valid JSON.');
});

test('what stands for NaN meanwhile is no text of the file, also where that is spelled in escapes', () => {
  expect(parsePythonJson('[NaN, "NaN#\\u0023", "\\u004eaN#"]', 'f')).toEqual([Number.NaN, 'NaN##', 'NaN#']);
  const odd = parsePythonJson('{"__proto__": NaN, "a": {"__proto__": [NaN]}}', 'f');
  expect(JSON.stringify(odd)).toBe('{"__proto__":null,"a":{"__proto__":[null]}}');
});

test('a text is searched once for what stands for NaN, whatever is in it', () => {
  const texts = Array.from({ length: 600 }, (_, count) => `NaN${'#'.repeat(count)}`);
  const text = JSON.stringify(texts).replace(']', ',NaN]');
  const searches = vi.spyOn(String.prototype, 'includes');
  expect(parsePythonJson(text, 'f')).toEqual([...texts, Number.NaN]);
  expect(searches.mock.contexts.filter((each) => String(each) === text).length).toBeLessThan(2);
  searches.mockRestore();
});

test('JSON is parsed as it is, and only what is none is looked through for the numbers that Python writes', () => {
  const text = '{"a": "NaN", "b": [1, 2]}';
  const parse = vi.spyOn(JSON, 'parse');
  const replace = vi.spyOn(String.prototype, 'replace');
  expect(parsePythonJson(text, 'f')).toEqual({ a: 'NaN', b: [1, 2] });
  const [calls, replaced] = [[...parse.mock.calls], replace.mock.contexts.map(String)];
  parse.mockRestore();
  replace.mockRestore();
  expect(calls).toEqual([[text]]);
  expect(replaced.filter((each) => text.includes(each))).toEqual([]);
});

test('a config of several megabytes is no trouble', () => {
  const value = { long: 'x\\"'.repeat(1_000_000), n: Infinity };
  const text = `{"long": ${JSON.stringify(value.long)}, "n": Infinity}`;
  expect(parsePythonJson(text, 'f')).toEqual(value);
});

test('a file that must hold an object and holds something else is refused', async () => {
  await writeText(at('list.json'), '[1]');
  await writeText(at('null.json'), 'null');
  await expect(readJsonObject(at('list.json'))).rejects.toMatchObject({ details: { found: 'an array' } });
  await expect(readJsonObject(at('null.json'))).rejects.toThrow('does not hold a JSON object');
  await expect(readJsonObject(at('none.json'))).rejects.toThrow(NotFoundError);
});

test('JSON that nests without end is refused before anybody walks through it', () => {
  const nested = (depth: number) => `{"a": ${'['.repeat(depth)}${']'.repeat(depth)}}`;
  expect(() => parsePythonJson(nested(50_000), 'unet/config.json')).toThrow(
    'unet/config.json nests lists and objects deeper than any data.',
  );
  expect(parsePythonJson(nested(100), 'unet/config.json')).toHaveProperty('a');
  expect(parsePythonJson('["[[[", "{{{"]'.replace('[[[', '['.repeat(1000)), 'f')).toHaveLength(2);
});

test('a config of more keys than any has is refused before it is parsed', async () => {
  const keys = (count: number) => `{${Array.from({ length: count }, (_, n) => `"k${n}": {"a:": 1}`).join()}}`;
  await writeText(at('many.json'), keys(25_001).slice(0, -1)); // which is no JSON
  const { problem, details } = await rejectionOf(readJsonObject(at('many.json')));
  expect(problem).toBe(`${at('many.json')} has more keys than any file of its kind.`);
  expect(details).toEqual({ expected: 'at most 50,000', found: '50,002' });
  await writeText(at('all.json'), keys(25_000));
  expect(Object.keys(await readJsonObject(at('all.json')))).toHaveLength(25_000);
});
