import { expect, test } from 'vitest';
import { FileFormatError, NotFoundError } from '../../../src/errors.ts';
import { writeText } from '../../../src/io/disk.ts';
import { parsePythonJson, readJsonObject } from '../../../src/io/json/python-json.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

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
