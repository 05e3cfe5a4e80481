import { existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { FileFormatError } from '../../../src/errors.ts';
import { copyConfigFile, readStrictJson, strictJson, writeJson } from '../../../src/io/json/strict-json.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { rejectionOf } from '../../support/thrown-by.ts';

const at = temporaryFolder();

async function copied(text: string, name = 'scheduler_config.json'): Promise<string> {
  writeFileSync(at(name), text);
  await copyConfigFile(at(name), at('copy', name));
  return readFileSync(at('copy', name), 'utf8');
}

test('a copy of strict JSON is the same bytes, and so is a copy of any other text', async () => {
  const text = '{ "model_max_length": 1000000000000000019884624838656,\n\t"said": "Infinity" }';
  expect(await copied(text)).toBe(text);
  expect(await copied('Infinity NaN\n', 'merges.txt')).toBe('Infinity NaN\n');
});

test('a file of any kind that is empty, or larger than any is meant to be, is refused and not copied', async () => {
  await expect(copied('', 'merges.txt')).rejects.toThrow(`${at('merges.txt')} is empty.`);
  writeFileSync(at('vocab.txt'), '');
  truncateSync(at('vocab.txt'), 2 ** 40);
  await expect(copyConfigFile(at('vocab.txt'), at('copy', 'vocab.txt'))).rejects.toThrow('is too large');
  expect(existsSync(at('copy', 'vocab.txt'))).toBe(false);
});

test('a scheduler’s lower bound of minus infinity, which is diffusers’ default, is left out of the copy', async () => {
  const copy = await copied('{"beta_end": 0.012, "lambda_min_clipped": -Infinity, "steps_offset": 1}');
  expect(JSON.parse(copy)).toEqual({ beta_end: 0.012, steps_offset: 1 });
  expect(JSON.parse(await copied('{"lambda_min_clipped": -5.1}'))).toEqual({ lambda_min_clipped: -5.1 });
});

test.each([
  ['{"lambda_min_clipped": Infinity}', 'lambda_min_clipped is Infinity'],
  ['{"sigma": {"max": -Infinity}}', 'sigma.max is -Infinity'],
  ['{"a": [{"b": 1}, {"b": [0, NaN]}]}', 'a[1].b[1] is NaN'],
  ['[2, Infinity]', '[1] is Infinity'],
  ['{"lambda_min_clipped": -Infinity, "sigma_max": NaN}', 'sigma_max is NaN'],
])('a number that JSON does not have and that is no default is refused by name: %s', async (text, found) => {
  const error = await rejectionOf(copied(text));
  expect(error).toBeInstanceOf(FileFormatError);
  expect(error.problem).toBe(
    `${at('scheduler_config.json')} cannot be written: ${found}, which JSON does not have.`,
  );
});

test('a damaged JSON file is refused instead of copied', async () => {
  await expect(copied('{"a":')).rejects.toThrow(`${at('scheduler_config.json')} is not valid JSON.`);
});

test('what is written has the size and hash that are given', async () => {
  const { byteLength, sha256 } = await writeJson(at('a.json'), { b: [1.5, 'NaN'] });
  expect(readFileSync(at('a.json'), 'utf8')).toBe(strictJson({ b: [1.5, 'NaN'] }, 'a.json', 2));
  expect(byteLength).toBe(readFileSync(at('a.json')).length);
  expect(sha256).toMatch(/^[0-9a-f]{64}$/);
  expect(() => strictJson([Number.NaN], 'a.json', 2)).toThrow(FileFormatError);
});

test('JSON that nests without end counts as none', async () => {
  writeFileSync(at('nested.json'), '['.repeat(50_000) + ']'.repeat(50_000));
  expect(await readStrictJson(at('nested.json'))).toBeUndefined();
});
