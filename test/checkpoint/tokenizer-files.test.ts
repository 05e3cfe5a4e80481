import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { readSideText, sideFileName } from '../../src/checkpoint/side-file.ts';
import { swiftVocabulary } from '../../src/checkpoint/swift-vocabulary.ts';
import { addedTokens, completeTokenizer, tokensIn } from '../../src/checkpoint/tokenizer-files.ts';
import { ConfigError, FileFormatError } from '../../src/errors.ts';
import { ClipTokenizer } from '../../src/generate/clip-tokenizer.ts';
import { writeText } from '../../src/io/disk.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf, thrownBy } from '../support/thrown-by.ts';

const at = temporaryFolder();
const folder = new URL('../../models/sd-shapes/tokenizer/', import.meta.url);
const vocab = readFileSync(new URL('vocab.json', folder), 'utf8');
const merges = readFileSync(new URL('merges.txt', folder), 'utf8');
const added = { '<cat-toy>': 49408, '<S0>': 49409 };

/** What transformers 5 saves: the model with its vocabulary and merges, added tokens beside them. */
async function tokenizerJson(name: string, pairs: boolean): Promise<string> {
  const lines = merges.trimEnd().split('\n').slice(1);
  const json = {
    version: '1.0',
    added_tokens: [
      { id: 49406, content: '<|startoftext|>', special: true },
      ...Object.entries(added).map(([content, id]) => ({ id, content, special: false })),
    ],
    model: {
      type: 'BPE',
      vocab: JSON.parse(vocab),
      merges: pairs ? lines.map((line) => line.split(' ')) : lines,
    },
  };
  await writeText(at(name, 'tokenizer.json'), JSON.stringify(json));
  return at(name, 'tokenizer.json');
}

async function textsOf(files: Awaited<ReturnType<typeof completeTokenizer>>): Promise<Map<string, string>> {
  return new Map(
    await Promise.all(files.map(async (file) => [sideFileName(file), await readSideText(file)] as const)),
  );
}

test.each([true, false])(
  'tokenizer.json alone is completed by vocabulary, merges and added tokens (pairs: %s)',
  async (pairs) => {
    const texts = await textsOf(await completeTokenizer([await tokenizerJson(`pairs-${pairs}`, pairs)]));
    expect([...texts.keys()]).toEqual(['tokenizer.json', 'vocab.json', 'merges.txt', 'added_tokens.json']);
    expect(JSON.parse(texts.get('vocab.json') ?? '')).toEqual(JSON.parse(vocab));
    expect(texts.get('merges.txt')?.trimEnd().split('\n').slice(1)).toEqual(
      merges.trimEnd().split('\n').slice(1),
    );
    expect(JSON.parse(texts.get('added_tokens.json') ?? '')).toEqual(added);
  },
);

test.each([[{ '<a>': -1 }], [{ '<a>': 2 ** 40 }], [{ '<a>': '7' }]])(
  'added tokens have numbers that tokens can have: %j',
  (list) => {
    expect(thrownBy(() => tokensIn(list)).problem).toBe(
      'The tokenizer\'s added_tokens.json gives the token "<a>" a number that none can have.',
    );
  },
);

test('a token that is listed by a number has one', () => {
  const config = { added_tokens_decoder: { x: { content: '<a>' } } };
  expect(thrownBy(() => tokensIn({}, config)).problem).toContain('tokenizer_config.json');
  expect(tokensIn({}, { added_tokens_decoder: { 7: { content: '<a>' } } })).toEqual(new Map([['<a>', 7]]));
});

test.each([{ 7: { content: '<a>' }, 8: {} }, { 7: '<a>' }, { 7: { content: 5 } }, ['<a>'], 'x', 1e308])(
  'one token that is none is told, instead of leaving out all: %j',
  (added_tokens_decoder) => {
    const error = thrownBy(() => tokensIn({}, { added_tokens_decoder }));
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.problem).toBe("The tokenizer's tokenizer_config.json lists an added token that is none.");
    expect(Object.keys(error.details)[0]).toMatch(/^added_tokens_decoder/);
  },
);

/** Throws where anybody looks at it. */
const unseen = new Proxy({}, { get: () => expect.fail('a token was looked at') });

test('more added tokens than any tokenizer has are refused before they are looked at', () => {
  const many = Object.fromEntries(Array.from({ length: 5_001 }, (_, n) => [n, unseen]));
  const byNumber = thrownBy(() => tokensIn({}, { added_tokens_decoder: many }));
  expect(byNumber).toBeInstanceOf(ConfigError);
  expect(byNumber.problem).toBe(
    "The tokenizer's tokenizer_config.json lists more added tokens than any tokenizer has.",
  );
  expect(byNumber.details).toEqual({ expected: 'at most 5,000', found: '5,001' });
  expect(thrownBy(() => tokensIn(many)).problem).toContain('added_tokens.json lists more added tokens');
});

test('of added tokens that are none the first is told, and no error is made of the others', () => {
  const [first, ...others] = Array.from({ length: 5_000 }, (_, n) => [n, n === 0 ? 'x' : unseen] as const);
  const added_tokens_decoder = Object.fromEntries([first, ...others].filter((each) => each !== undefined));
  expect(thrownBy(() => tokensIn({}, { added_tokens_decoder })).details).toEqual({
    'added_tokens_decoder.0': 'expected keys and values, found "x"',
  });
});

test.each(['', ' ', '1e3', '0x10', '-1', '7.5', '١'])(
  'the number %j that lists a token is none',
  (number) => {
    const config = { added_tokens_decoder: { [number]: { content: '<a>' } } };
    expect(thrownBy(() => tokensIn({}, config)).details.found).toBe(JSON.stringify(number));
  },
);

test('added tokens that cannot be words are refused whoever reads them, so before anything is written', () => {
  expect(thrownBy(() => tokensIn({ ['x'.repeat(129)]: 1 })).problem).toContain('cannot be words');
  const many = Object.fromEntries(Array.from({ length: 1_001 }, (_, n) => [`${n}`.padEnd(100), n]));
  expect(thrownBy(() => tokensIn(many)).details.found).toBe('100,100');
  expect(tokensIn({ ['x'.repeat(128)]: 1 }).size).toBe(1);
});

test('a token with two numbers is refused, and one without letters left out, as by transformers', () => {
  const twice = { added_tokens_decoder: { 7: { content: 'zz' }, 8: { content: 'zz' } } };
  expect(thrownBy(() => tokensIn({}, twice)).details.found).toBe('7 and 8');
  const decoder = { added_tokens_decoder: { 7: { content: 'zz' } } };
  expect(thrownBy(() => tokensIn({ zz: 8 }, decoder)).details.found).toBe('7 and 8');
  expect(tokensIn({ zz: 7, '': 9 }, decoder)).toEqual(new Map([['zz', 7]]));
});

test('a list of added tokens that is no table is told with its path', async () => {
  await writeText(at('list', 'added_tokens.json'), '["<a>"]');
  const { problem } = await rejectionOf(addedTokens([at('list', 'added_tokens.json')]));
  expect(problem).toBe(`${at('list', 'added_tokens.json')} does not hold a JSON object.`);
});

test('what is there is not made again, and another kind of tokenizer is left as it is', async () => {
  const whole = await tokenizerJson('whole', true);
  await writeText(at('whole', 'vocab.json'), vocab);
  await writeText(at('whole', 'merges.txt'), merges);
  const files = [whole, at('whole', 'vocab.json'), at('whole', 'merges.txt')];
  expect(await completeTokenizer(files)).toEqual(files);
  await writeText(at('unigram', 'tokenizer.json'), '{"model":{"type":"Unigram","vocab":[["a",0]]}}');
  expect(await completeTokenizer([at('unigram', 'tokenizer.json')])).toEqual([
    at('unigram', 'tokenizer.json'),
  ]);
});

test('added tokens stand in a list of their own, or in the configuration by number', () => {
  expect([...tokensIn({ '<a>': 1 }, { added_tokens_decoder: { 2: { content: '<b>' } } })]).toEqual([
    ['<b>', 2],
    ['<a>', 1],
  ]);
  expect(tokensIn().size).toBe(0);
});

test('a prompt with an added token has its number', async () => {
  const files = await completeTokenizer([await tokenizerJson('prompt', true)]);
  const tokenizer = ClipTokenizer.fromFiles({ vocab, merges, added: await addedTokens(files) });
  // transformers 5.23.0 on the case `added_tokens`: a photo of a <cat-toy>.
  const ids = tokenizer.encode('a photo of a <cat-toy> cat', { maxLength: 9 });
  expect(ids).toEqual([49406, 320, 1125, 539, 320, 49408, 2368, 49407, 49407]);
});

describe('Apple’s Swift package merges an added token letter by letter', () => {
  test('and finds its number', async () => {
    const files = await completeTokenizer([await tokenizerJson('swift', true)]);
    const texts = await textsOf(await swiftVocabulary(files));
    const table: Record<string, number> = JSON.parse(texts.get('vocab.json') ?? '');
    for (const [token, id] of Object.entries(added))
      expect([token, swiftTokens(token, texts.get('merges.txt') ?? '').map((part) => table[part])]).toEqual([
        token,
        [id],
      ]);
    expect(table['<cat-toy>']).toBe(49408);
    // Other words stay what they were.
    for (const word of ['photo', 'cat', '<', 'toy', '>'])
      expect(swiftTokens(word, texts.get('merges.txt') ?? '')).toEqual(swiftTokens(word, merges));
  });

  test('and a broken vocabulary, or tokens that nobody added, are named', async () => {
    const made = (tokens: object, table = vocab) => [
      { name: 'vocab.json', text: table },
      { name: 'merges.txt', text: merges },
      { name: 'added_tokens.json', text: JSON.stringify(tokens) },
    ];
    await expect(swiftVocabulary(made(added, '{"a": 1'))).rejects.toBeInstanceOf(FileFormatError);
    await expect(swiftVocabulary(made(added, '{"a": "b"}'))).rejects.toThrow('not a table of tokens');
    await expect(swiftVocabulary(made(added, '{"a": -1}'))).rejects.toThrow('not a table of tokens');
    await expect(swiftVocabulary(made({ ['x'.repeat(200_000)]: 49408 }))).rejects.toThrow('cannot be words');
    expect(await swiftVocabulary(made({ constructor: 49408 }))).toHaveLength(2);
  });

  test('and without added tokens the files are the checkpoint’s own', async () => {
    const files = ['vocab.json', 'merges.txt'].map((name) => fileURLToPath(new URL(name, folder)));
    expect(await swiftVocabulary(files)).toEqual(files);
  });
});

/** BPETokenizer.swift of apple/ml-stable-diffusion: lower case, then the pair of the lowest rank, wherever it stands. */
function swiftTokens(word: string, text: string): string[] {
  const ranks = new Map(
    text
      .trimEnd()
      .split('\n')
      .slice(1)
      .map((line, rank) => [line, rank]),
  );
  let parts = [...word.toLowerCase()];
  parts[parts.length - 1] += '</w>';
  while (parts.length > 1) {
    const pairs = parts.slice(1).map((part, at) => `${parts[at]} ${part}`);
    const best = pairs
      .filter((pair) => ranks.has(pair))
      .sort((a, b) => (ranks.get(a) ?? 0) - (ranks.get(b) ?? 0))[0];
    if (best === undefined) return parts;
    const next: string[] = [];
    for (let at = 0; at < parts.length; at++) {
      const merges = `${parts[at]} ${parts[at + 1]}` === best;
      next.push(merges ? `${parts[at]}${parts[++at]}` : (parts[at] ?? ''));
    }
    parts = next;
  }
  return parts;
}
