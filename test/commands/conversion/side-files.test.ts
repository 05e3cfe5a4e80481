import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { convertCheckpoint } from '../../../src/commands/convert.ts';
import { ConfigError, FileFormatError } from '../../../src/errors.ts';
import { sdShapes } from '../../support/sd-shapes.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { rejectionOf } from '../../support/thrown-by.ts';

const at = temporaryFolder();
const SCHEDULER = 'scheduler/scheduler_config.json';

beforeAll(() => cpSync(sdShapes, at('checkpoint'), { recursive: true }));

beforeEach(() => {
  for (const folder of ['scheduler', 'tokenizer']) {
    rmSync(at('checkpoint', folder), { recursive: true });
    cpSync(join(sdShapes, folder), at('checkpoint', folder), { recursive: true });
  }
});

/** Changes one of the checkpoint's files, and gives how it is converted, or planned. */
function withFile(name: string, text: string) {
  writeFileSync(at('checkpoint', name), text);
  return async (how: { readonly dryRun?: boolean; readonly bundle?: boolean }) => {
    const notes: string[] = [];
    const written: string[] = [];
    const request = { modelVersion: at('checkpoint'), output: at('out'), ...how } as const;
    await convertCheckpoint(
      { ...request, targets: ['onnx'], models: ['text_encoder'] },
      {
        onProgress(event) {
          if (event.type === 'note') notes.push(event.message);
          if (event.type === 'stage' && event.stage === 'write') written.push(event.state);
        },
      },
    );
    return { notes, written };
  };
}

function scheduler(changes: object): string {
  const own = readFileSync(join(sdShapes, SCHEDULER), 'utf8').replace('-Infinity', 'null');
  return JSON.stringify({ ...JSON.parse(own), ...changes });
}

const deep = `${'['.repeat(300)}${']'.repeat(300)}`;

test.each([
  [SCHEDULER, scheduler({ num_train_timesteps: 2 ** 31 }), 'is configured with a "num_train_timesteps"'],
  [SCHEDULER, scheduler({ beta_start: -1 }), 'is configured with a "beta_start"'],
  [SCHEDULER, '[1]', 'scheduler_config.json does not hold a JSON object.'],
  [SCHEDULER, '{"a": ', 'is not valid JSON'],
  ['tokenizer/merges.txt', '#version: 0.2\na b\nnone\n', 'merges.txt is not a list of pairs.'],
  ['tokenizer/vocab.json', '{"a": 1.5}', 'vocab.json is not a table of token ids.'],
  ['tokenizer/vocab.json', '{"a": 99999999999}', 'vocab.json is not a table of token ids.'],
  ['tokenizer/added_tokens.json', '{"<a>": -1}', 'added_tokens.json gives the token "<a>" a number'],
  [
    'tokenizer/tokenizer_config.json',
    '{"added_tokens_decoder": {"x": {"content": "<a>"}}}',
    'tokenizer_config.json gives the token "<a>" a number',
  ],
  ['tokenizer/special_tokens_map.json', '[]', 'special_tokens_map.json does not hold a JSON object.'],
  ['tokenizer/special_tokens_map.json', deep, 'nests lists and objects deeper'],
  ['tokenizer/tokenizer.json', '', 'tokenizer.json is empty.'],
  ['tokenizer/other.json', deep, 'other.json nests lists and objects deeper'],
  ['tokenizer/other.json', 'null', 'other.json does not hold a JSON object.'],
  [SCHEDULER, JSON.stringify({ a: 'x'.repeat(5e6) }), 'scheduler_config.json is too large'],
  [
    SCHEDULER,
    scheduler(Object.fromEntries(Array.from({ length: 2000 }, (_, at) => [`k${at}`, 1]))),
    'options, more than any scheduler.',
  ],
  [
    'tokenizer/merges.txt',
    'version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12\n',
    'makes none of the words in its vocab.json',
  ],
  ['tokenizer/other.json', '{"a": NaN}', 'a is NaN, which JSON does not have.'],
])('%s: %.60j is refused by a dry run, and before anything is written', async (name, text, problem) => {
  const convert = withFile(name, text);
  for (const dryRun of [true, false]) {
    const error = await rejectionOf(convert({ dryRun }));
    expect([FileFormatError, ConfigError]).toContain(error.constructor);
    expect(error.message).toContain(problem);
    expect(error.message).toContain(dirname(at('checkpoint', name)));
  }
  expect(existsSync(at('out'))).toBe(false);
  rmSync(at('checkpoint', name));
});

test.each([true, false])(
  'numbers in a config that JSON does not have are refused before anything is written (dry run: %j)',
  async (dryRun) => {
    const name = 'text_encoder/config.json';
    const own = readFileSync(at('checkpoint', name), 'utf8');
    const convert = withFile(
      name,
      JSON.stringify({ ...JSON.parse(own), bos_token_id: '?' }).replace('"?"', 'NaN'),
    );
    const error = await rejectionOf(convert({ dryRun, bundle: false }));
    expect(error.problem).toBe(
      `${at('checkpoint', name)} cannot be written: bos_token_id is NaN, which JSON does not have.`,
    );
    expect(existsSync(at('out'))).toBe(false);
    writeFileSync(at('checkpoint', name), own);
  },
);

test.each([true, false])('so are those in the index (dry run: %j)', async (dryRun) => {
  const name = 'model_index.json';
  const own = readFileSync(at('checkpoint', name), 'utf8');
  const convert = withFile(name, JSON.stringify({ ...JSON.parse(own), a: '?' }).replace('"?"', 'NaN'));
  const error = await rejectionOf(convert({ dryRun }));
  expect(error.problem).toBe(
    `${at('checkpoint', name)} cannot be written: a is NaN, which JSON does not have.`,
  );
  expect(existsSync(at('out'))).toBe(false);
  expect((await convert({ dryRun: true, bundle: false })).notes).toEqual([]);
  writeFileSync(at('checkpoint', name), own);
});

test.each([
  [SCHEDULER, scheduler({ _class_name: 'NewScheduler' }), 'the scheduler is copied as it is'],
  [SCHEDULER, scheduler({ new_option: 7 }), '"new_option" that sdconvert does not support'],
  ['tokenizer/special_tokens_map.json', '{"bos_token": "constructor"}', 'bos_token is not in its vocabulary'],
  [
    'tokenizer/tokenizer_config.json',
    '{"padding_side": "left"}',
    "tokenizer's padding_side is not supported.",
  ],
  ['tokenizer/added_tokens.json', '{"photo</w>": 7}', 'token "photo</w>" two numbers. Expected'],
])('%s: %j, which others may know, is told and copied', async (name, text, message) => {
  const { notes } = await withFile(name, text)({ dryRun: true });
  expect(notes).toEqual([expect.stringContaining(message)]);
  expect(notes[0]).toContain('sdconvert generate will refuse it');
});

test.each([
  [
    'tokenizer/added_tokens.json',
    '{"<a>": 60000}',
    'the tokenizer has tokens up to number 60000, and the text_encoder knows 49408: prompts with the others cannot be drawn.',
  ],
  [
    'tokenizer/tokenizer_config.json',
    '{"model_max_length": 1e30}',
    'the tokenizer fills prompts up to 1e+30 tokens (model_max_length), and the text_encoder takes 77: clients that read it cannot draw.',
  ],
])('%s: %j, which does not fit the text encoder, is told and copied', async (name, text, message) => {
  const { notes } = await withFile(name, text)({ dryRun: true });
  expect(notes).toEqual([message]);
  rmSync(at('checkpoint', name));
});

const [merges, vocab] = ['tokenizer/merges.txt', 'tokenizer/vocab.json'].map((name) =>
  readFileSync(join(sdShapes, name), 'utf8').trimEnd(),
);

test.each([
  ['tokenizer/merges.txt', merges?.split('\n').slice(0, 40_001).join('\n') ?? '', '40,000 merges', '48,894'],
  ['tokenizer/merges.txt', '#version: 0.2\n', '0 merges', '48,894'],
  ['tokenizer/merges.txt', merges?.replaceAll('\n', '\r') ?? '', '0 merges', '48,894'],
  ['tokenizer/merges.txt', `${merges}\n${merges}`, '97,789 merges', '48,894'],
  ['tokenizer/vocab.json', vocab?.replace(/"photo<\/w>": *\d+, */, '') ?? '', '48,894 merges', '48,893'],
])(
  '%s: words that no merge makes, or merges that make none, are told: %#',
  async (name, text, has, words) => {
    expect((await withFile(name, text)({ dryRun: true })).notes).toEqual([
      `the tokenizer has ${has}, and its vocab.json words for ${words}: one of them may be cut off, or of another tokenizer, and prompts are read otherwise.`,
    ]);
  },
);

test('words of one number are told', async () => {
  const text = vocab?.replace(/("photo<\/w>": *)\d+/, '$1320') ?? '';
  expect((await withFile('tokenizer/vocab.json', text)({ dryRun: true })).notes).toEqual([
    'the tokenizer gives 1 words the numbers of others in its vocab.json.',
  ]);
});

test('what is not copied need not be what it should be', async () => {
  const convert = withFile('tokenizer/merges.txt', 'none\n');
  expect((await convert({ dryRun: true, bundle: false })).notes).toEqual([]);
});

test('the checkpoint itself has nothing to tell', async () => {
  const convert = withFile(
    'tokenizer/merges.txt',
    readFileSync(join(sdShapes, 'tokenizer/merges.txt'), 'utf8'),
  );
  expect((await convert({ dryRun: true })).notes).toEqual([]);
});

test('a tokenizer that is in tokenizer.json alone is told by its folder', async () => {
  const folder = at('checkpoint/tokenizer');
  const [vocab, merges] = ['vocab.json', 'merges.txt'].map((name) =>
    readFileSync(join(folder, name), 'utf8'),
  );
  const pairs = merges?.trimEnd().split('\n').slice(1);
  const model = { type: 'BPE', vocab: JSON.parse(vocab ?? ''), merges: pairs };
  for (const name of ['vocab.json', 'merges.txt']) rmSync(join(folder, name));
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify({ model, added_tokens: [] }));
  const run = withFile('tokenizer/tokenizer_config.json', '{"added_tokens_decoder": {"49408": "x"}}');
  const error = await rejectionOf(run({ dryRun: true }));
  expect(error.message).toContain('lists an added token that is none');
  expect(error.message).toContain(folder);
});
