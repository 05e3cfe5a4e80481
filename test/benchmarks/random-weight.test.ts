import { expect, test } from 'vitest';
import { type FloatDType, randomWeight } from '../../benchmarks/random-weight.ts';

async function numbersOf(
  name: string,
  shape: readonly number[],
  dtype: FloatDType = 'f32',
): Promise<Float32Array> {
  const tensor = randomWeight(name, shape, dtype);
  if (!('stream' in tensor)) throw new Error('not a stream');
  const numbers: number[] = [];
  for await (const block of tensor.stream(dtype)) {
    const bytes = block.slice().buffer;
    for (const number of dtype === 'f32' ? new Float32Array(bytes) : new Float16Array(bytes))
      numbers.push(number);
  }
  return Float32Array.from(numbers);
}

function mean(numbers: Float32Array, of: (x: number) => number): number {
  return numbers.reduce((sum, x) => sum + of(x), 0) / numbers.length;
}

// 640,000 numbers: the mean of a unit normal strays by 1/800; four such deviations are allowed, more for the tails.
test('a matrix keeps the size of what it multiplies: variance 1/inputs, mean 0', async () => {
  const numbers = await numbersOf('to_q.weight', [400, 1600]);
  expect(numbers).toHaveLength(640_000);
  expect(Math.abs(mean(numbers, (x) => x)) * 40).toBeLessThan(0.005); // measured 0.0011
  expect(mean(numbers, (x) => x * x) * 1600).toBeCloseTo(1, 1); // measured 0.998
});

test('the tails are heavy, as those of trained weights are', async () => {
  const numbers = await numbersOf('conv.weight', [40, 1778, 3, 3]);
  const kurtosis = mean(numbers, (x) => x ** 4) / mean(numbers, (x) => x ** 2) ** 2;
  expect(kurtosis).toBeGreaterThan(6); // measured 13.7; a normal distribution has 3
});

test('norms scale by one, and biases are small', async () => {
  expect(await numbersOf('norm.weight', [4])).toEqual(Float32Array.of(1, 1, 1, 1));
  expect(Math.sqrt(mean(await numbersOf('conv.bias', [10_000]), (x) => x * x))).toBeCloseTo(0.02, 2);
});

test('a name gives the same numbers every time, and another name gives others', async () => {
  const [first, again, other] = [
    await numbersOf('a', [3, 3]),
    await numbersOf('a', [3, 3]),
    await numbersOf('b', [3, 3]),
  ];
  expect(again).toEqual(first);
  expect(other).not.toEqual(first);
});

test('float16 weights are the float32 ones, rounded', async () => {
  const [wide, half] = [await numbersOf('a', [600, 500]), await numbersOf('a', [600, 500], 'f16')];
  expect(half.every((x, i) => x === Math.f16round(wide[i] ?? Number.NaN))).toBe(true);
  expect(half).toHaveLength(300_000);
});
