import { describe, expect, test } from 'vitest';
import type { DType } from '../../src/weights/dtype.ts';
import { examinedWeight, type WeightFinding } from '../../src/weights/examined-weight.ts';
import { readTensor } from '../../src/weights/tensor-data.ts';
import type { Weight } from '../../src/weights/weight.ts';
import { bytesWeight, memoryWeight } from '../support/memory-weight.ts';
import { scattered } from '../support/scattered.ts';

/** What is found in a weight when it streams as `dtype`. */
async function findings(weight: Weight, dtype: DType, isLayer = true): Promise<WeightFinding[]> {
  const found: WeightFinding[] = [];
  const examined = examinedWeight(weight, isLayer, (finding) => found.push(finding));
  expect(await readTensor(examined, dtype)).toEqual(await readTensor(weight, dtype));
  return found;
}

/** Numbers between −1 and 1, with some in their places changed, as a weight of float32. */
function weightWith(changes: Readonly<Record<number, number>>, length = 2501): Weight {
  const values = scattered(length);
  for (const [index, value] of Object.entries(changes)) values[Number(index)] = value;
  return bytesWeight('w', 'f32', [length], new Uint8Array(values.buffer));
}

const [Inf, sound] = [Number.POSITIVE_INFINITY, { nan: 0, infinite: 0, overflowing: 0 }];

describe.each(['f16', 'f32'] as const)('in %s', (dtype) => {
  test('sound numbers give no finding', async () => {
    expect(await findings(weightWith({}), dtype)).toEqual([]);
    expect(await findings(weightWith({ 3: 9999, 2000: -9999 }), dtype)).toEqual([]);
  });

  test.each([0, 1, 999, 1000, 1001, 2499, 2500])('a NaN or infinity is found at element %i', async (at) => {
    for (const [value, counts] of [
      [Number.NaN, { nan: 1 }],
      [-Inf, { infinite: 1 }],
    ] as const) {
      expect(await findings(weightWith({ [at]: value }), dtype)).toEqual([
        { problem: 'non-finite', weight: 'w', elements: 2501, ...sound, ...counts, first: at },
      ]);
    }
  });

  test('of many, all are counted and the first is named', async () => {
    const weight = weightWith({ 2400: Number.NaN, 1700: Inf, 1800: Number.NaN, 2500: -Inf });
    expect(await findings(weight, dtype, false)).toEqual([
      { problem: 'non-finite', weight: 'w', elements: 2501, ...sound, nan: 2, infinite: 2, first: 1700 },
    ]);
  });
});

test('what float16 has no number for overflows there only, from the first number that rounds to infinity', async () => {
  const weight = weightWith({ 7: 65519, 8: 65520, 9: -1e30, 10: Inf });
  expect(await findings(weight, 'f16')).toEqual([
    { problem: 'non-finite', weight: 'w', elements: 2501, nan: 0, infinite: 1, overflowing: 2, first: 8 },
  ]);
  expect(await findings(weightWith({ 8: 65520 }), 'f32', false)).toEqual([]);
});

test('float16 and bfloat16 weights are looked at as well', async () => {
  const [f16, bf16] = [new Uint16Array(2501), new Uint16Array(2501)];
  [f16[2500], bf16[2500]] = [0x7c00, 0x7f80];
  for (const [from, codes] of [
    ['f16', f16],
    ['bf16', bf16],
  ] as const) {
    const weight = bytesWeight('w', from, [2501], new Uint8Array(codes.buffer));
    for (const to of ['f16', 'f32'] as const)
      expect(await findings(weight, to)).toMatchObject([{ infinite: 1, overflowing: 0, first: 2500 }]);
  }
});

test('blocks that begin in the middle of four bytes, and of one element, are looked at alike', async () => {
  const codes = Uint16Array.of(1, 2, 3, 0x7e00, 5, 6, 0xfc00);
  const weight: Weight = {
    ...memoryWeight('w', [7], new Float32Array(7)),
    async *stream() {
      for (const [from, to] of [
        [0, 1],
        [1, 4],
        [4, 4],
        [4, 7],
      ] as const)
        yield new Uint8Array(codes.buffer, 2 * from, 2 * (to - from));
    },
  };
  const found: WeightFinding[] = [];
  const examined = examinedWeight(weight, true, (finding) => found.push(finding));
  for await (const _ of examined.stream('f16'));
  expect(found).toMatchObject([{ elements: 7, nan: 1, first: 3 }]);
});

describe('the weight of a layer', () => {
  test.each([
    ['zeros', 0, 'f16'],
    ['zeros', 0, 'f32'],
    ['one value', 0.5, 'f16'],
    ['one value', -2, 'f32'],
  ] as const)('of nothing but %s (%d in %s) is suspicious', async (_, value, dtype) => {
    const weight = memoryWeight('w', [5, 5], new Float32Array(25).fill(value));
    const finding = { problem: 'constant', weight: 'w', elements: 25, value };
    expect(await findings(weight, dtype)).toEqual([finding]);
    expect(await findings(weight, dtype, false)).toEqual([]);
  });

  test('is zero also with zeros of both signs, and not with one other number, wherever it is', async () => {
    const zeros = Float32Array.from({ length: 25 }, (_, i) => (i % 2 ? -0 : 0));
    expect(await findings(memoryWeight('w', [25], zeros), 'f16')).toMatchObject([{ value: 0 }]);
    for (const at of [0, 1, 12, 24]) {
      const one = new Float32Array(25).fill(0.5);
      one[at] = 0.25;
      expect(await findings(memoryWeight('w', [25], one), 'f16')).toEqual([]);
    }
  });

  test('of few elements may be alike', async () => {
    expect(await findings(memoryWeight('w', [2, 2], new Float32Array(4)), 'f32')).toEqual([]);
  });

  test('beyond 10,000 is suspicious, with its largest magnitude', async () => {
    const weight = weightWith({ 5: 12_000, 6: -20_000, 2000: 15_000 });
    for (const dtype of ['f16', 'f32'] as const)
      expect(await findings(weight, dtype)).toEqual([
        { problem: 'huge', weight: 'w', elements: 2501, value: 20_000 },
      ]);
    expect(await findings(weight, 'f16', false)).toEqual([]);
  });
});

test('whole numbers pass by', async () => {
  const ids = bytesWeight('ids', 'i64', [3], new Uint8Array(24));
  expect(await findings(ids, 'i64')).toEqual([]);
});
