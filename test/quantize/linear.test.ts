import { expect, test } from 'vitest';
import { type LinearOptions, LinearWeight } from '../../src/quantize/linear.ts';
import { float16Bits, float16Value } from '../../src/weights/convert-dtype.ts';
import { elementCount } from '../../src/weights/dtype.ts';
import { scattered } from '../support/scattered.ts';

/** What a weight becomes, element by element, as the definitions say. */
function plainly(values: Float32Array, shape: readonly number[], options: LinearOptions) {
  const { bits, symmetric, blockShape, dtype, scalesApart } = options;
  const rounded = (value: number) =>
    dtype === 'f16' ? float16Value(float16Bits(value)) : Math.fround(value);
  const counts = shape.map((size, axis) => Math.ceil(size / (blockShape[axis] ?? 1)));
  const blockOf = (element: number): number => {
    let [rest, block, weight] = [element, 0, 1];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      block += weight * Math.floor((rest % (shape[axis] ?? 1)) / (blockShape[axis] ?? 1));
      rest = Math.floor(rest / (shape[axis] ?? 1));
      weight *= counts[axis] ?? 1;
    }
    return block;
  };
  const blocks = Array.from({ length: elementCount(counts) }, () => ({ low: 0, high: 0 }));
  values.forEach((value, i) => {
    const block = blocks[blockOf(i)] ?? { low: 0, high: 0 };
    [block.low, block.high] = [Math.min(block.low, value), Math.max(block.high, value)];
  });
  const most = symmetric ? 2 ** (bits - 1) - 1 : 2 ** bits - 1;
  const scales = blocks.map(({ low, high }) => {
    const range = (symmetric ? Math.max(-low, high) : high - low) / most;
    return range === 0 ? 1 : Math.max(rounded(range), 2 ** -24);
  });
  const zeros = blocks.map(({ low }, at) =>
    symmetric ? 0 : Math.min(Math.round(-low / (scales[at] ?? 1)), most),
  );
  const elements = Array.from(values, (value, i) => {
    const [scale = 1, zero = 0] = [scales[blockOf(i)], zeros[blockOf(i)]];
    const number = Math.min(Math.max(Math.round(value / scale) + zero, symmetric ? -most : 0), most);
    const restored = scalesApart
      ? rounded(rounded(number * scale) - rounded(zero * scale))
      : rounded((number - zero) * scale);
    return { number, restored };
  });
  return { scales, zeros, elements };
}

/** The numbers in the bytes of 8 or 4 bits, as they are stored. */
function storedNumbers(bytes: Uint8Array, bits: 4 | 8, count: number): number[] {
  const at = (i: number): number =>
    bits === 8 ? (bytes[i] ?? 0) : ((bytes[i >> 1] ?? 0) >> (4 * (i & 1))) & 15;
  return Array.from({ length: count }, (_, i) => at(i));
}

async function joined(blocks: AsyncIterable<Uint8Array | Float32Array>): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  for await (const { buffer, byteOffset, byteLength } of blocks)
    parts.push(Buffer.from(new Uint8Array(buffer, byteOffset, byteLength)));
  return Buffer.concat(parts);
}

const shapes: readonly { readonly shape: readonly number[]; readonly blockShape: readonly number[] }[] = [
  { shape: [7, 5, 3, 3], blockShape: [1, 5, 3, 3] }, // an output channel
  { shape: [29, 33], blockShape: [29, 1] }, // an output channel on the last axis
  { shape: [6, 100], blockShape: [1, 16] }, // blocks of input channels, the last one smaller
  { shape: [40, 6], blockShape: [16, 1] },
  { shape: [3, 15_001], blockShape: [1, 15_001] }, // more than are quantised at a time
  { shape: [1], blockShape: [1] },
];
const forms: readonly Omit<LinearOptions, 'blockShape'>[] = [
  { bits: 8, symmetric: false, dtype: 'f16' },
  { bits: 8, symmetric: true, dtype: 'f32' },
  { bits: 8, symmetric: false, dtype: 'f16', scalesApart: true },
  { bits: 4, symmetric: false, dtype: 'f32' },
  { bits: 4, symmetric: true, dtype: 'f16' },
];
const magnitudes = [0.05, 60_000, 2 ** -16]; // usual ones, near float16's largest, near its smallest

for (const { shape, blockShape } of shapes) {
  test(`a weight [${shape}] in blocks of [${blockShape}] becomes what the definitions say`, async () => {
    for (const form of forms) {
      for (const magnitude of magnitudes) {
        // Halves of a step are ties, which are rounded up.
        const values = scattered(elementCount(shape)).map(
          (value, i) => (i % 5 === 0 ? Math.round(value * 255) / 510 : value / 2 + 0.1) * magnitude,
        );
        const bytes = new Uint8Array(values.buffer);
        const tensor = {
          name: 'w',
          dtype: 'f32' as const,
          shape,
          byteLength: bytes.length,
          // Pieces of an odd number of elements leave half a byte of 4 bits.
          *stream() {
            for (let at = 0; at < bytes.length; at += 4 * 4099) yield bytes.subarray(at, at + 4 * 4099);
          },
        };
        const expected = plainly(values, shape, { ...form, blockShape });
        const weight = new LinearWeight(tensor, { ...form, blockShape });
        const offset = form.symmetric && form.bits === 4 ? 8 : 0;
        const stored = storedNumbers(await joined(weight.data(offset)), form.bits, values.length);
        expect(stored).toEqual(
          expected.elements.map(({ number }) => (number + offset) & (2 ** form.bits - 1)),
        );
        const { scales, zeros } = await weight.parameters();
        expect([[...scales], [...zeros]]).toEqual([expected.scales, expected.zeros]);
        const restored = await joined(weight.values());
        expect([...new Float32Array(new Uint8Array(restored).buffer)]).toEqual(
          expected.elements.map((each) => each.restored),
        );
        let squaredError = 0;
        expected.elements.forEach(({ restored: back }, i) => {
          squaredError += ((values[i] ?? 0) - back) ** 2;
        });
        // Sums of float64 squares in another order.
        expect((await weight.error()).squaredError).toBeCloseTo(
          squaredError,
          12 - Math.log10(squaredError + 1),
        );
      }
    }
  });
}

test('infinities and NaNs are counted', async () => {
  const values = Float32Array.from({ length: 101 }, (_, i) =>
    i % 50 === 0 ? Number.NaN : i === 7 ? -1 / 0 : i,
  );
  const tensor = {
    name: 'w',
    dtype: 'f32' as const,
    shape: [101],
    byteLength: 404,
    stream: () => [new Uint8Array(values.buffer)],
  };
  const weight = new LinearWeight(tensor, { bits: 8, symmetric: true, blockShape: [101], dtype: 'f16' });
  await expect(weight.parameters()).rejects.toThrow('4 elements of it are infinite or NaN');
});
