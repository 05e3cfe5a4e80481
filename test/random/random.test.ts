import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { RequestError } from '../../src/errors.ts';
import { createRng, type RngKind } from '../../src/random/random.ts';
import type { Rng } from '../../src/random/rng.ts';

const golden = (file: string): Record<string, unknown> =>
  JSON.parse(readFileSync(new URL(`../goldens/rng/${file}`, import.meta.url), 'utf8'));

function sha256(...draws: readonly Float32Array[]): string {
  const hash = createHash('sha256');
  for (const draw of draws) hash.update(new Uint8Array(draw.buffer, draw.byteOffset, draw.byteLength));
  return hash.digest('hex');
}

/** Keys like torch_42_17 and torch_42_1x4x64x64_second: seed, size, and the second draw of that size. */
const torchDraws = Object.entries(golden('rng_sha256.json')).map(([key, hash]) => {
  const [, seed, size = '', second] = /^torch_(\d+)_([\dx]+?)(_second)?$/.exec(key) ?? [];
  const count = size.split('x').reduce((product, side) => product * Number(side), 1);
  return { key, seed: Number(seed), count, skip: second ? 1 : 0, hash };
});

describe('the torch stream is bit for bit that of torch.randn on the CPU', () => {
  test.each(torchDraws)('$key', ({ seed, count, skip, hash }) => {
    const rng = createRng('torch', seed);
    for (let i = 0; i < skip; i++) rng.normal(count);
    expect(sha256(rng.normal(count))).toBe(hash);
  });

  // g = torch.Generator().manual_seed(5); the sizes below, one torch.randn(n, generator=g) each (torch 2.13.0)
  test('also when small and large draws alternate', () => {
    const rng = createRng('torch', 5);
    const draws = [3, 20, 2, 1, 15, 16].map((count) => rng.normal(count));
    expect(sha256(...draws)).toBe('8c096d671d202574ffb2ce25e63062e5a8520077fea1a516fab8f06b49c073e6');
  });

  // torch.randn(1, 4, 128, 128, generator=torch.Generator().manual_seed(2**32 + 7)) (torch 2.13.0)
  test('also for a seed above 32 bits, of which torch uses the low 32', () => {
    const hash = '5d5320e525f2695cb27eda4967599bdb50421253aee7b327459408d0091db0be';
    expect(sha256(createRng('torch', 2 ** 32 + 7).normal(4 * 128 * 128))).toBe(hash);
  });
});

describe('the numpy stream is that of np.random.RandomState(seed).randn, rounded to float32', () => {
  const recorded = Object.entries(golden('rng.json')).filter(([key]) => key.startsWith('np_'));
  test.each(recorded)('%s', (key, values) => {
    const seed = Number(key.split('_')[1]);
    expect(createRng('numpy', seed).normal(64)).toEqual(Float32Array.from(values as number[])); // as: the golden's np_ rows are number lists
  });

  // np.random.RandomState(seed).randn(16385).astype(np.float32).tobytes() (numpy 2.4.6)
  test.each([
    [0, 'a5285c6d07be0fbdc8ac016fffdb00d3f87e29d89b5fed1cca5ea228fe6dada7'],
    [4294967295, '921bdf4b6d7d96a92ab7634c5803dcb88a4de01f53b8ac43e945dacf1848da9c'],
  ])('16,385 numbers of seed %d', (seed, hash) => {
    expect(sha256(createRng('numpy', seed).normal(16385))).toBe(hash);
  });

  test('the vector that Apple’s Swift tests use', () => {
    const last = createRng('numpy', 12345).normal(10000).slice(-5);
    const expected = [-0.86285345, 2.15229409, -0.00670556, -1.21472309, 0.65498866];
    expected.forEach((value, i) => {
      expect(Math.abs((last[i] ?? 0) - value)).toBeLessThan(1.5e-7); // one float32 step at 2.15, and the eighth decimal
    });
  });

  test('two halves of an odd cut are the whole', () => {
    const [whole, halves] = [createRng('numpy', 3), createRng('numpy', 3)];
    expect([...halves.normal(5), ...halves.normal(4)]).toEqual([...whole.normal(9)]);
  });
});

describe('the nvidia stream', () => {
  // torch.manual_seed(0); torch.randn(3, 4, device='cuda'), as published with 8 decimals by users of NVIDIA GPUs.
  // The GPU's sine is approximate: these agree to 1e-7, and no more is promised.
  test('is that of torch.randn on an NVIDIA GPU', () => {
    const published = [
      -0.92466259, -0.42534415, -2.6438457, 0.14518388, -0.12086647, -0.57972564, -0.62285122, -0.32838709,
      -1.07454231, -0.36314407, -1.67105067, 2.26550497,
    ];
    const ours = createRng('nvidia', 0).normal(12);
    published.forEach((value, i) => {
      expect(Math.abs((ours[i] ?? 0) - value)).toBeLessThan(1.5e-7);
    });
  });

  test('gives other numbers in the second draw and for a seed that differs above 32 bits', () => {
    const rng = createRng('nvidia', 1);
    const first = rng.normal(4);
    expect(rng.normal(4)).not.toEqual(first);
    expect(createRng('nvidia', 2 ** 32 + 1).normal(4)).not.toEqual(first);
  });
});

describe('every stream', () => {
  const kinds: RngKind[] = ['numpy', 'torch', 'nvidia'];

  test.each(kinds)('%s has mean 0 and variance 1', (kind) => {
    const values = createRng(kind, 1).normal(20000);
    const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
    const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length;
    expect(Math.abs(mean)).toBeLessThan(4 / Math.sqrt(20000)); // four standard errors
    expect(Math.abs(variance - 1)).toBeLessThan(4 * Math.sqrt(2 / 20000));
  });

  test.each(kinds)('%s gives nothing when nothing is asked for', (kind) => {
    const draw = (rng: Rng) => rng.normal(0);
    expect(draw(createRng(kind, 1))).toHaveLength(0);
  });

  test.each([-1, 0.5, Number.NaN, 2 ** 53])('refuses %d as a seed', (seed) => {
    for (const kind of kinds) expect(() => createRng(kind, seed)).toThrow(RequestError);
  });
});

test('a seed that NumPy refuses is refused for numpy only', () => {
  expect(() => createRng('numpy', 2 ** 32)).toThrow(/0 to 4294967295/);
  expect(createRng('torch', 2 ** 32).normal(1)).toHaveLength(1);
});

test('an unknown generator is refused by naming those there are', () => {
  const kind = 'cuda' as RngKind; // as: what a caller without types can pass
  expect(() => createRng(kind, 0)).toThrow(/numpy, torch, nvidia/);
});
