import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readRows } from '../../benchmarks/results-file.ts';
import type { CardFile } from '../../src/report/card.ts';
import { curveOf } from '../../src/report/facts/curve.ts';
import { licenceIn } from '../../src/report/facts/licence.ts';
import { limitsOf } from '../../src/report/facts/limits.ts';
import { lintRules } from '../../src/report/facts/lint-rules.ts';
import { recordedAccuracy, recordedFor } from '../../src/report/facts/recorded.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();

function file(path: string, more: Partial<CardFile> = {}): CardFile {
  return {
    path,
    format: path.startsWith('onnx') ? 'onnx' : 'mlpackage',
    network: 'unet',
    chunk: null,
    byteLength: 1_700_000_000,
    files: [],
    weights: [{ stored: 'float16', bits: 16, tensors: 1, parameters: 1, byteLength: 2 }],
    precision: 'float16',
    attention: 'SPLIT_EINSUM',
    needs: null,
    problem: null,
    ...more,
  };
}

test('the numbers on record that a card shows are the newest rows of benchmarks/results/accuracy.csv', () => {
  const rows = readRows(
    readFileSync(new URL('../../benchmarks/results/accuracy.csv', import.meta.url), 'utf8'),
  );
  const newest = new Map(
    rows.map(({ format, precision, family, lowest_db }) => [
      `${format} ${precision} ${family}`,
      Number(lowest_db),
    ]),
  );
  expect(
    new Map(
      recordedAccuracy.map(([format, precision, family, dB]) => [`${format} ${precision} ${family}`, dB]),
    ),
  ).toEqual(newest);
  expect(recordedFor('mlpackage', 'float16', 'rounded', 'Stable Diffusion XL')).toBe(46.7);
  expect(recordedFor('onnx', 'float16', 'exact', null)).toBeNull();
});

test('limits name the largest model that a client would load, and what it loads of it', () => {
  const files = [
    file('onnx/unet', { files: [{ name: 'model.onnx', byteLength: 1e6, sha256: null }] }),
    file('x_unet.mlpackage'),
    file('onnx/vae_decoder', { network: 'vae_decoder', byteLength: 3e9 }),
  ];
  const found = limitsOf(files);
  expect(found.find(({ client }) => client === 'ort-web')).toMatchObject({
    where: 'onnx/vae_decoder',
    found: 3e9,
  });
  expect(found.find(({ client }) => client === 'swift')).toMatchObject({
    where: 'x_unet.mlpackage',
    limit: 1e9,
  });
});

test('dated rules find what they are about, and nothing in a model without it', () => {
  const rules = (
    files: readonly CardFile[],
    family: string | null = null,
    scheduler: string | null = null,
    flatAttention: readonly string[] = [],
  ) =>
    lintRules({ files, family, scheduler, settings: undefined, flatAttention }).map(
      ({ rule, where }) => `${rule} ${where}`,
    );
  const small = { byteLength: 1e6 };
  expect(rules([file('a.mlpackage', small)])).toEqual([]);
  expect(rules([], null, null, ['t.mlpackage'])).toEqual(['flat-attention-of-text t.mlpackage']);
  expect(rules([file('a.mlpackage')])).toEqual(['unet-over-1-gb a.mlpackage']);
  expect(rules([file('r.mlpackage', { network: 'refiner' })])).toEqual(['unet-over-1-gb r.mlpackage']);
  const weights = [{ stored: '6-bit palette', bits: 6, tensors: 1, parameters: 1, byteLength: 1 }];
  expect(rules([file('a.mlpackage', { weights, needs: 'macOS 15, iOS 18' })])).toEqual([
    'palettes-of-macos15 a.mlpackage',
  ]);
  expect(rules([file('a.mlpackage', { weights, needs: 'macOS 13, iOS 16' })])).toEqual([]);
  const vae = file('b.mlpackage', { ...small, network: 'vae_decoder' });
  expect(rules([vae], 'Stable Diffusion XL')).toEqual(['xl-vae-in-float16 b.mlpackage']);
  expect(rules([vae], 'Stable Diffusion 1.x')).toEqual([]);
  expect(rules([file('a.mlpackage', small)], null, 'LCMScheduler')).toEqual([
    'swift-has-no-such-scheduler LCMScheduler',
  ]);
  expect(rules([file('onnx-openvino/unet', small)], null, 'HeunDiscreteScheduler')).toEqual([
    'client-has-no-such-scheduler onnx-openvino',
  ]);
});

test('a licence is carried over from the front matter of the checkpoint’s model card', async () => {
  const write = (text: string) => writeFileSync(at('README.md'), text);
  expect(await licenceIn(at())).toBeUndefined();
  write('---\nlicense: other\nlicense_name: my-licence\nlicense_link: https://example.org\n---\n# x\n');
  expect(await licenceIn(at())).toMatchObject({
    id: 'other',
    name: 'my-licence',
    link: 'https://example.org',
  });
  for (const text of [
    '# no front matter',
    '---\ntags: [x]\n---\n',
    '---\n: {\n---\n',
    '---\nlicense: [a]\n---\n',
    '---\nlicense: !theirs mit\n---\n',
  ]) {
    write(text);
    expect(await licenceIn(at())).toBeUndefined();
  }
});

test('the curve adds up what single weights lose, and marks the bits that the model has', () => {
  const weights = new Map(
    ['a.weight', 'b.weight'].map((name) => [
      name,
      {
        elements: 8000,
        bytes: 16_000,
        errors: new Map([
          [8, 1e-6],
          [4, 1e-4],
        ]),
      },
    ]),
  );
  const analysis = { measured: { model: {}, inputs: ['x'], bits: [8, 4], peak: 1 }, weights };
  const layer = (name: string, bits: number) => ({
    name,
    bits,
    form: '',
    elements: null,
    byteLength: null,
    decibels: null,
  });
  const layers = {
    path: '',
    network: 'unet',
    leftOut: [],
    weights: [layer('a_weight', 8), layer('b_weight', 4)],
  };
  const { uniform, chosen, mixed } = curveOf(analysis, { layers, bytes: 0 });
  expect(uniform[0]).toMatchObject({ label: '8 bits', bytes: 2 * (8000 + 512) });
  expect(uniform[0]?.psnr).toBeCloseTo(-10 * Math.log10(2e-6), 9);
  expect(chosen?.bytes).toBe(8000 + 512 + 4000 + 32);
  expect(chosen?.psnr).toBeCloseTo(-10 * Math.log10(1.01e-4), 9);
  expect(mixed.length).toBeGreaterThan(1);
});
