import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ConfigError, FileFormatError, RequestError } from '../../src/errors.ts';
import { ClipTokenizer } from '../../src/generate/clip-tokenizer.ts';
import { thrownBy } from '../support/thrown-by.ts';

const folder = new URL('../../models/sd-shapes/tokenizer/', import.meta.url);
const text = (file: string) => readFileSync(new URL(file, folder), 'utf8');
const files = {
  vocab: text('vocab.json'),
  merges: text('merges.txt'),
  config: JSON.parse(text('tokenizer_config.json')),
  specialTokensMap: JSON.parse(text('special_tokens_map.json')),
};
const tokenizer = ClipTokenizer.fromFiles(files);

// transformers 5.23.0, CLIPTokenizer, 80 prompts: `ids` without and `ids77` with padding and truncation.
const golden: { prompt: string; ids: number[]; ids77: number[] }[] = JSON.parse(
  readFileSync(new URL('../goldens/tokenizer/hf5.json', import.meta.url), 'utf8'),
);

describe('the token ids are those of transformers', () => {
  test.each(golden)('$prompt', ({ prompt, ids, ids77 }) => {
    expect(tokenizer.encode(prompt, { maxLength: 77 })).toEqual(ids77);
    expect(tokenizer.encode(prompt, { maxLength: ids.length })).toEqual(ids);
  });
});

test('without any config the special tokens are those of CLIP', () => {
  const plain = ClipTokenizer.fromFiles({ vocab: files.vocab, merges: files.merges });
  expect(plain.encode('a photo', { maxLength: 6 })).toEqual([49406, 320, 1125, 49407, 49407, 49407]);
});

// Stable Diffusion 2 pads with "!", which makes every "!" of a prompt that token, too; ids from CLIPTokenizerFast of
// transformers 4.57.6 with such a special_tokens_map.json.
describe('a checkpoint that pads with an exclamation mark', () => {
  const specialTokensMap = { ...files.specialTokensMap, pad_token: '!' };
  const padded = ClipTokenizer.fromFiles({ ...files, specialTokensMap });
  test.each([
    ['hello! wow!!', [49406, 3306, 0, 2781, 0, 0, 49407, 0, 0, 0, 0, 0]],
    ['hello ! <|startoftext|>', [49406, 3306, 0, 49406, 49407, 0, 0, 0, 0, 0, 0, 0]],
    ['!!!???...', [49406, 0, 0, 0, 5195, 22641, 49407, 0, 0, 0, 0, 0]],
  ])('encodes %s as transformers does', (prompt, ids) => {
    expect(padded.encode(prompt, { maxLength: 12 })).toEqual(ids);
  });
});

test('a token list too short for begin and end is refused', () => {
  expect(() => tokenizer.encode('a', { maxLength: 1 })).toThrow(RequestError);
});

test('a vocabulary that is not JSON is refused', () => {
  expect(() => ClipTokenizer.fromFiles({ ...files, vocab: '<html>' })).toThrow(FileFormatError);
});

test.each([
  ['config', null],
  ['specialTokensMap', 'x'],
  ['added', [['<a>', 5]]],
  ['added', new Map([['<a>', { toString: 1 }]])],
  ['added', new Map([['<a>', -1]])],
])('%s that is something else is refused by its name', (name, value) => {
  const error = thrownBy(() => ClipTokenizer.fromFiles({ ...files, [name]: value }));
  expect(error).toBeInstanceOf(RequestError);
  expect(error.message).toContain(`ClipTokenizer.fromFiles was called wrongly: files.${name}`);
});

test('merges.txt that ends too early is told: prompts are read in pieces', () => {
  expect(tokenizer.notes('tokenizer')).toEqual([]);
  const merges = files.merges.split('\n').slice(0, 1001).join('\n');
  expect(ClipTokenizer.fromFiles({ ...files, merges }).notes('tokenizer')).toEqual([
    'the tokenizer has 1,000 merges, and its vocab.json words for 48,894: one of them may be cut off, or of another tokenizer, and prompts are read otherwise.',
  ]);
});

test('a merge that is not a pair is refused by its line', () => {
  const merges = '#version: 0.2\ni n\nt h e\n';
  expect(() => ClipTokenizer.fromFiles({ ...files, merges })).toThrow(/line +3[\s\S]*"t h e"/);
});

test.each(['constructor', 'toString', '__proto__'])('%s is no token that every vocabulary has', (token) => {
  const specialTokensMap = { ...files.specialTokensMap, bos_token: token };
  expect(() => ClipTokenizer.fromFiles({ ...files, specialTokensMap })).toThrow(ConfigError);
});

test.each([-1, 1.5, 2 ** 40])('%d is no number of a token', (id) => {
  const vocab = JSON.stringify({ ...JSON.parse(files.vocab), odd: id });
  expect(() => ClipTokenizer.fromFiles({ ...files, vocab })).toThrow(FileFormatError);
});

test.each([
  ['padding_side', 'left', '"left"'],
  ['truncation_side', 'left', '"left"'],
  ['padding_side', null, 'null'],
  ['truncation_side', 5, '5'],
])('%s is the right one, or refused: %j', (key, side, found) => {
  const config = { ...files.config, [key]: side };
  const error = thrownBy(() => ClipTokenizer.fromFiles({ ...files, config }));
  expect(error).toBeInstanceOf(ConfigError);
  expect(error.details).toEqual({ expected: '"right"', found });
  expect(ClipTokenizer.fromFiles({ ...files, config: { ...config, [key]: 'right' } }).size).toBe(49408);
});

test('an added token that the vocabulary has with another number is refused', () => {
  const { problem, details } = thrownBy(() =>
    ClipTokenizer.fromFiles({ ...files, added: new Map([['a</w>', 7]]) }),
  );
  expect(problem).toBe('The tokenizer\'s files give the token "a</w>" two numbers.');
  expect(details.found).toBe('320 and 7');
  expect(ClipTokenizer.fromFiles({ ...files, added: new Map([['a</w>', 320]]) }).size).toBe(49408);
});

test.each([
  [5, '5'],
  [[], '[]'],
  [{ content: '' }, '""'],
  [' ', '" "'],
])('a special token that is none is shown: %j', (unk_token, found) => {
  const specialTokensMap = { ...files.specialTokensMap, unk_token };
  expect(thrownBy(() => ClipTokenizer.fromFiles({ ...files, specialTokensMap })).details.found).toBe(found);
});

test('a padding token that the vocabulary lacks is refused', () => {
  const specialTokensMap = { pad_token: '<|nothing|>' };
  expect(() => ClipTokenizer.fromFiles({ ...files, specialTokensMap })).toThrow(ConfigError);
});
