import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { exampleManifest, writeExampleManifest } from '../../src/fleet/example-manifest.ts';
import { planItems } from '../../src/fleet/plan-items.ts';
import { readManifest } from '../../src/fleet/read-manifest.ts';
import { withShortLists } from '../../src/fleet/short-lists.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const at = temporaryFolder();

beforeAll(() => {
  for (const name of ['a', 'b', 'c']) mkdirSync(at(name));
  for (const name of ['d.safetensors', 'style.safetensors']) writeFileSync(at(name), '');
});

/** Plans the items of a manifest with this text. */
async function plan(text: string, name = 'fleet.yaml') {
  writeFileSync(at(name), text);
  return planItems(await readManifest(at(name)));
}

/** What is said against a manifest, on one line, without the path of the folder. */
async function refusal(text: string, name = 'fleet.yaml'): Promise<string> {
  const { message } = await rejectionOf(plan(text, name));
  return message.replaceAll(at('x').slice(0, -1), '').replaceAll(/\s+/g, ' ');
}

test('every variant of every checkpoint is an item, with options of its own before those of all', async () => {
  const { output, items } = await plan(`
output: results
options: { targets: [onnx], floor: 40 }
variants:
  float16:
  six: { bits: 6, floor: 20, targets: [coreml] }
sources:
  - a
  - { source: d.safetensors, name: dream, variants: [six], loras: ["style.safetensors:0.5"] }
  - org/name
`);
  expect(output).toBe(at('results'));
  expect(items.map(({ name }) => name)).toEqual([
    'a/float16',
    'a/six',
    'dream/six',
    'name/float16',
    'name/six',
  ]);
  expect(items[1]).toMatchObject({
    models: { modelVersion: at('a') },
    options: { targets: ['coreml'], quantization: { bits: 6 } },
    output: join(at('results'), 'a', 'six'),
    floor: 20,
    reference: 'float32',
  });
  expect(items[2]?.models.loras).toEqual([{ path: at('style.safetensors'), scale: 0.5 }]);
  expect(items[3]).toMatchObject({ models: { modelVersion: 'hf://org/name' }, floor: 40 });
});

test('a manifest of sources alone converts each into its own folder, and measures nothing', async () => {
  const { items } = await plan('sources: [a]');
  expect(items).toMatchObject([{ name: 'a', output: join(at('converted'), 'a'), reference: undefined }]);
});

test('JSON is read as well, with tabs too', async () => {
  const text = JSON.stringify({ sources: ['a', { source: 'b', name: 'c' }] }, null, '\t');
  expect((await plan(text, 'fleet.json')).items.map(({ name }) => name)).toEqual(['a', 'c']);
});

test('the example that --init writes is a manifest, also with all that it has in comments', async () => {
  await writeExampleManifest(at('example.yaml'));
  expect((await planItems(await readManifest(at('example.yaml')))).items).toHaveLength(2);
  mkdirSync(at('checkpoints'));
  for (const name of ['checkpoints/dreamshaper', 'vae']) writeFileSync(at(`${name}.safetensors`), '');
  const { items } = await plan(exampleManifest.replaceAll(/^ {2}# /gm, '  '));
  expect(items.map(({ name }) => name)).toEqual([
    'stable-diffusion-v1-5/float16',
    'stable-diffusion-v1-5/palette-6',
    'dreamshaper/float16',
    'dreamshaper/palette-6',
    'my-name/float16',
  ]);
  expect(items[4]?.models).toMatchObject({ variant: 'fp16', revision: 'main' });
  await expect(writeExampleManifest(at('example.yaml'))).rejects.toThrow(/already exists/);
});

describe('refused with the line', () => {
  const many = Array.from(
    { length: 12 },
    (_, n) => `x${n}: &x${n} [${'*x'.concat(String(n - 1), ', ').repeat(n > 0 ? 9 : 0)}1]`,
  );
  test.each([
    [
      'a key that is nearly one',
      'sources: [a]\noptoins: {}',
      /^fleet\.yaml:2: there is no key "optoins" in a manifest\. Did you mean options\?/,
    ],
    [
      'a key of a variant',
      'sources: [a]\nvariants:\n  x:\n    bitz: 4',
      /^fleet\.yaml:4: there is no key "bitz" in variants\.x\. Did you mean bits\?/,
    ],
    [
      'a key of a source',
      'sources:\n  - a\n  - source: b\n    sha: x',
      /^fleet\.yaml:4: there is no key "sha" in sources\[1\]\. keys source, name/,
    ],
    ['a merge key', 'sources: [a]\noptions:\n  <<: {}', /^fleet\.yaml:3: there is no key "<<"/],
    [
      'a value of the wrong kind',
      'sources: [a]\noptions:\n  bits: six',
      /^fleet\.yaml:3: options\.bits is "six": expected a (whole )?number\./,
    ],
    [
      'a name that is nearly one',
      'sources: [a]\noptions: {clients: [optimun]}',
      /^fleet\.yaml:2: options\.clients\[0\] is "optimun": expected one of .* Did you mean optimum\?/,
    ],
    ['a source of the wrong kind', 'sources: [a, 7]', /^fleet\.yaml:1: sources\[1\] is 7: expected/],
    [
      'a source without its model',
      'sources: [{name: x}]',
      /^fleet\.yaml:1: sources\[0\]\.source is missing\./,
    ],
    ['no sources', 'output: x', /^fleet\.yaml(:1)?: sources is missing\./],
    [
      'a number beyond whole ones',
      'options: { bits: 99999999999999999999 }',
      /^fleet\.yaml:1: options\.bits is 100000000000000000000: expected at most 9007199254740991\./,
    ],
    [
      'a list without end',
      `options: { targets: [${'onnx, '.repeat(65)}] }`,
      /^fleet\.yaml:1: options\.targets is \[.*\]: expected at most 64 entries\./,
    ],
    ['an empty list', 'sources: []', /^fleet\.yaml:1: sources is \[\]: expected at least one\./],
    ['sources that are null', 'sources:', /^fleet\.yaml:1: sources is null: expected a list\./],
    ['variants of nothing', 'sources: [a]\nvariants: {}', /^fleet\.yaml:2: variants is empty\./],
    [
      'a name of a variant that leads elsewhere',
      'sources: [a]\nvariants: {"../x": {}}',
      /^fleet\.yaml:2: variants\.\.\.\/x is .*: expected letters/,
    ],
    [
      'a name of a checkpoint that does',
      'sources: [{source: a, name: ..}]',
      /^fleet\.yaml:1: sources\[0\]\.name is "\.\.": expected letters/,
    ],
    [
      'a name that is a device of Windows',
      'sources: [{source: a, name: nul}]',
      /^fleet\.yaml:1: sources\[0\]\.name is "nul": expected a name that Windows allows/,
    ],
    ['a list', '- a\n- b', /^fleet\.yaml(:1)?: a manifest is a list of keys and values, and this is not\./],
    ['nothing at all', '', /^fleet\.yaml(:1)?: a manifest is a list of keys and values, and this is not\./],
    [
      'a key twice',
      'sources: [a]\nsources: [b]',
      /^fleet\.yaml:2: this is not a manifest in YAML or JSON\..*unique/,
    ],
    ['a tag', 'sources: [!!js/function "x"]', /^fleet\.yaml:1: this is not a manifest/],
    [
      'aliases that blow up',
      `${many.join('\n')}\nsources: [a]`,
      /^fleet\.yaml: this is not a manifest .*alias/i,
    ],
    ['nesting without end', `sources: ${'['.repeat(10_000)}`, /^fleet\.yaml(:1)?: this is not a manifest/],
    ['bytes', '\0\x01\x02', /^fleet\.yaml(:1)?: (this is not a manifest|a manifest is a list)/],
    [
      'a path that is not there',
      'sources:\n  - ./nothing',
      /^fleet\.yaml:2: sources\[0\] is not there: nothing is at nothing\./,
    ],
    [
      'another model that is not',
      'sources:\n  - source: a\n    vae: ./v',
      /^fleet\.yaml:3: sources\[0\]\.vae is not there/,
    ],
    [
      'a checkpoint twice',
      'sources: [a, b, {source: ./a, name: other}]',
      /^fleet\.yaml:1: sources\[2\] is the checkpoint of sources\[0\] again\./,
    ],
    [
      'one folder for two',
      'sources: [a, {source: b, name: A}]',
      /^fleet\.yaml:1: sources\[1\] and sources\[0\] would be written into one folder, A\./,
    ],
    [
      'two variants that differ by case',
      'sources: [a]\nvariants: {x: {}, X: {}}',
      /^fleet\.yaml:2: variants\.X and variants\.x would have one folder/,
    ],
    [
      'a floor without a reference',
      'sources: [a]\noptions: {floor: 30, reference: none}',
      /^fleet\.yaml:2: options has a floor of 30 dB and no reference\./,
    ],
    [
      'one of a source',
      'sources:\n  - {source: a, reference: none}\noptions: {floor: 30}',
      /^fleet\.yaml:2: sources\[0\] has a floor of 30 dB and no reference\./,
    ],
    [
      'a variant that there is not',
      'sources: [{source: a, variants: [flaot16]}]\nvariants: {float16: {}}',
      /^fleet\.yaml:1: sources\[0\]\.variants\[0\] is flaot16, and there is no such variant\. Did you mean float16\?/,
    ],
    [
      'bits that there are not',
      'sources: [a]\nvariants: {x: {bits: 5}}',
      /^fleet\.yaml:2: a palette of 5 bits is not possible\./,
    ],
    [
      'what only bits have',
      'sources: [a]\noptions: {mode: linear}',
      /^fleet\.yaml:2: options\.mode changes nothing without bits\./,
    ],
    [
      'clients that load another target',
      'sources: [a]\noptions: {clients: [swift], targets: [onnx]}',
      /^fleet\.yaml:2: swift loads coreml models, and targets onnx writes none\./,
    ],
    [
      'chunks for clients that load none',
      'sources: [a]\noptions: {clients: [optimum], targets: [onnx], maxChunkBytes: 1e9}',
      /^fleet\.yaml:2: optimum loads whole models, and maxChunkBytes cuts the UNet\. Leave out maxChunkBytes, or optimum out of clients\./,
    ],
    [
      'no network at all',
      'sources: [a]\noptions: {models: [unet], without: [unet]}',
      /^fleet\.yaml:2: options\.without leaves no network to convert\./,
    ],
    [
      'results inside a checkpoint',
      'output: a/converted\nsources: [b, a]',
      /^fleet\.yaml:2: sources\[1\] would have results inside of it: a\/converted\/b\./,
    ],
    [
      'results in the checkpoint that the manifest is in',
      'sources:\n  - source: .\n    name: x',
      /^fleet\.yaml:2: sources\[0\] would have results inside of it/,
    ],
    [
      'a value that no other is near to, with where all are',
      'sources: [a]\noptions: {precision: zzzzzzzz}',
      /^fleet\.yaml:2: options\.precision is .* All keys and their values: https:\/\/.*\/docs\/batch\.md$/,
    ],
    [
      'a service with a slash too few',
      'sources: [a]\noutput: s3:/bucket',
      /^fleet\.yaml:2: output is no folder: s3:\/bucket\./,
    ],
    [
      'a revision of a folder',
      'sources: [{source: a, revision: main}]',
      /^fleet\.yaml:1: sources\[0\]\.revision is of the Hub/,
    ],
    [
      'one SHA-256 for a folder',
      `sources: [{source: a, sha256: ${'ab'.repeat(32)}}]`,
      /^fleet\.yaml:1: sources\[0\]\.sha256 is of one file, and this is a folder/,
    ],
    [
      'a SHA-256 that is none',
      'sources: [{source: d.safetensors, sha256: 12ab}]',
      /^fleet\.yaml:1: sources\[0\]\.sha256 is "12ab": expected 64 hexadecimal digits\./,
    ],
    [
      'a scale that is none',
      'sources: [{source: a, loras: ["style.safetensors:much"]}]',
      /the scale of the LoRA style\.safetensors is not a number/,
    ],
  ])('%s', async (_, text, sentence) => {
    expect(await refusal(text)).toMatch(sentence);
  });

  test('a file that is not there, and a folder', async () => {
    await expect(readManifest(at('none.yaml'))).rejects.toThrow(/does not exist/);
    await expect(readManifest(at('a'))).rejects.toThrow(/is a folder/);
  });
});

test('items without end, which few lines would make, are refused', async () => {
  const variants = Object.fromEntries(Array.from({ length: 400 }, (_, at) => [`v${at}`, null]));
  const sources = Array.from({ length: 300 }, (_, at) => `org/n${at}`);
  expect(await refusal(JSON.stringify({ variants, sources }))).toContain(
    'sources make more than 100,000 items with their variants.',
  );
});

test('thousands of checkpoints are planned as soon as few', { timeout: 10_000 }, async () => {
  const sources = Array.from({ length: 5000 }, (_, at) => `org/n${at}`);
  const { items } = await plan(JSON.stringify({ variants: { a: null, b: null }, sources }));
  expect(items).toHaveLength(10_000);
});

test('a list is looked at up to the first thing in it that is refused', () => {
  const many = (each: unknown) => Array<unknown>(100_000).fill(each);
  const sources = [{ source: 'a', loras: ['x', ...many(5)] }, ...many('b')];
  expect(withShortLists({ sources })).toEqual({ sources: [{ source: 'a', loras: ['x', 5] }] });
  expect(withShortLists({ sources: ['a', ...many({})] })).toEqual({ sources: ['a', {}] });
  expect(withShortLists({ sources: many('a') })).toEqual({ sources: many('a') });
  const words = withShortLists({ options: { targets: many('onnx') }, variants: { a: { models: many(5) } } });
  expect(words).toEqual({
    options: { targets: many('onnx').slice(0, 65) },
    variants: { a: { models: many(5).slice(0, 65) } },
  });
  for (const odd of [null, 5, [], { sources: 5, options: null, variants: [] }])
    expect(withShortLists(odd)).toEqual(odd);
});

test('results are compared with nothing of themselves, also where they are there', async () => {
  mkdirSync(at('converted', 'a', 'onnx'), { recursive: true });
  const itself = (reference: string) => `options: { floor: 3, reference: ${reference} }\nsources: [a]\n`;
  for (const reference of ['converted/a', './converted/a/onnx'])
    expect(await refusal(itself(reference))).toBe(
      `fleet.yaml:1: options.reference is the result itself: ${reference.replace('./', '')}. ` +
        'Name what results are compared with: float32, or something outside of them.',
    );
  expect((await plan(itself('converted'))).items).toHaveLength(1);
});

test('no name of a manifest is a path elsewhere, or longer than folders have', async () => {
  const hashes = (path: string) => `sources: [{ source: a, sha256: { "${path}": ${'a'.repeat(64)} } }]\n`;
  for (const path of ['../x', 'unet/../../x', '/etc/passwd'])
    expect(await refusal(hashes(path))).toContain(
      `sources[0].sha256 names a file outside of the checkpoint: ${path}.`,
    );
  expect((await plan(hashes('./unet/a..b'))).items).toHaveLength(1);
  expect(await refusal(`sources: [{ source: a, name: ${'n'.repeat(256)} }]\n`)).toContain(
    'at most 255 letters',
  );
  expect(await refusal('{"sources": ["a\\u0000b"]}')).toBe(
    'a\\u0000b is no path: names have no NUL in them. Check its spelling.',
  );
});

test('a word need not stand in a list again and again', async () => {
  const models = Array(100).fill('unet');
  expect(await refusal(JSON.stringify({ options: { models }, sources: ['a'] }))).toContain(
    'options.models is',
  );
});
