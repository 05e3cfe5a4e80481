import { expect, test } from 'vitest';
import {
  dtypeTable,
  folderSection,
  loraSection,
  partTable,
  recognizedTables,
  singleFileTable,
} from '../../scripts/docs/files.ts';
import { publishedModels } from '../../scripts/docs/full-size-models.ts';
import { networkTable } from '../../scripts/docs/networks.ts';
import { bitsTable, targetTable } from '../../scripts/docs/outputs.ts';
import { familyTitles, kindTitles } from '../../src/checkpoint/family.ts';
import { otherAdapters } from '../../src/checkpoint/lora/lora-key.ts';
import { refusedPipelines, supportedPipelines } from '../../src/checkpoint/recognize/pipelines.ts';
import { knownWeightFiles } from '../../src/checkpoint/recognize/weight-file-kind.ts';
import { attentionImplementations } from '../../src/convert/blocks/attention.ts';
import { networksOf } from '../../src/convert/convert.ts';
import { networkKinds } from '../../src/convert/networks/networks.ts';
import { targetNames } from '../../src/formats/format.ts';
import { precisions } from '../../src/quantize/precision.ts';
import { fullSizeCheckpoint } from '../support/full-size.ts';

/** The cells of a table's row that begins with these. */
function row(text: string, ...cells: readonly string[]): string[] {
  const rows = text.split('\n').map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  const found = rows.find((each) => cells.every((cell, at) => each[at] === cell));
  if (!found) throw new Error(`no row begins with ${cells.join(', ')}`);
  return found.slice(cells.length);
}

test('every kind of network is among the models whose graphs are built', () => {
  const names = publishedModels().flatMap(({ own }) => [
    ...networksOf(own),
    ...networksOf(own, { controlledUnet: true }),
  ]);
  expect(new Set(names)).toEqual(new Set(networkKinds));
});

test('a network’s row says what it weighs, and each target and attention that builds it', async () => {
  const own = fullSizeCheckpoint('sd15');
  const text = await networkTable([{ title: 'SD', own, whole: own }]);
  const combinations = targetNames.flatMap((target) =>
    attentionImplementations.map((attention) => `${target} \`${attention}\``),
  );
  expect(row(text, 'model', 'network', 'float16 weights')).toEqual(combinations);
  // 859.52 million parameters, and 123.06 million (test/python/make_full_size_lists.py).
  const [size, ...built] = row(text, '', '`unet`');
  expect(size).toBe('1.72 GB');
  expect(built).toEqual(combinations.map(() => expect.stringMatching(/^✓ \d,\d{3}$|^✓ \d{3}$/)));
  expect(row(text, 'SD', '`text_encoder`')[0]).toBe('246.1 MB');
});

test('a network that cannot be built is shown with its reason, and the others are built', async () => {
  const own = fullSizeCheckpoint('sd15');
  const unet = own.components.get('unet');
  if (!unet) throw new Error('the list has no UNet');
  const weights = new Map(unet.weights);
  weights.delete('conv_out.bias');
  const whole = { ...own, components: new Map(own.components).set('unet', { ...unet, weights }) };
  const text = await networkTable([{ title: 'half', own, whole }]);
  expect(row(text, '', '`unet`')).toEqual([
    '',
    ...Array(targetNames.length * attentionImplementations.length).fill('✗ (1)'),
  ]);
  expect(row(text, '', '`control-unet`')).toEqual([
    '',
    ...Array(targetNames.length * attentionImplementations.length).fill('✗ (1)'),
  ]);
  expect(row(text, '', '`vae_decoder`')[1]).toMatch(/^✓ /);
  expect(text).toMatch(
    /^1\. the UNet needs a weight that this checkpoint does not have\. \(.*missing: conv_out\.bias/m,
  );
});

test('every pipeline that is converted is named, and every one that is not, in the tool’s words', () => {
  for (const name of supportedPipelines) expect(folderSection()).toContain(`\`${name}\``);
  for (const { what, advice } of refusedPipelines)
    expect(row(recognizedTables(), 'folder', `… is ${what}.`)).toEqual([advice]);
});

test.each(knownWeightFiles)('of a file that is $what the page says what the tool says', (known) => {
  const [converted, advice] = row(recognizedTables(), `… is ${known.what}.`);
  expect(advice).toBe(known.advice);
  if (known.kind === 'unsupported') expect(converted).toBe('✗');
});

test('single files of all families are built for all kinds but depth, which is refused', async () => {
  const text = await singleFileTable();
  const heading = row(text, 'family', 'networks in the file');
  expect(heading).toEqual(Object.values(kindTitles));
  for (const title of Object.values(familyTitles)) {
    const [, ...cells] = row(text, title);
    expect(cells).toEqual(heading.map((kind) => (kind === kindTitles.depth ? '✗ (1)' : '✓')));
  }
  expect(await partTable()).not.toContain('✗');
});

test('8-bit floats, bfloat16 and float64 are said to be read, and integers not', () => {
  for (const name of ['F8_E4M3', 'F8_E5M2', 'BF16', 'F64'])
    expect(row(dtypeTable(), `\`${name}\``)[2]).toBe('float32, float16');
  expect(() => row(dtypeTable(), '`I64`')).toThrow();
});

test('the packed types of GGUF are named', () => {
  for (const name of ['Q8_0', 'Q4_K', 'IQ4_XS', 'IQ2_XXS']) expect(dtypeTable()).toContain(`\`${name}\``);
});

test('each kind of adapter that is not merged is named', () => {
  for (const [, name] of otherAdapters) expect(loraSection()).toContain(name);
});

test('what Core ML has only since macOS 15 is said so', () => {
  const [onnx, macOS13, macOS14, macOS15] = row(bitsTable(), 'palette');
  expect([onnx, macOS15]).toEqual(['1, 2, 3, 4, 6, 8', '1, 2, 3, 4, 6, 8']);
  expect([macOS13, macOS14]).toEqual(['1, 2, 4, 6, 8 (1)', '1, 2, 4, 6, 8 (1)']);
  expect(bitsTable()).toMatch(/^1\. Core ML has palettes of 3 bits only since macOS 15/m);
});

test('each precision has its row', () => {
  for (const precision of precisions)
    expect(row(targetTable(), `--precision ${precision}`)).toHaveLength(targetNames.length);
});
