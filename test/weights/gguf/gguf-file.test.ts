import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FileFormatError, SdConvertError, UnsupportedModelError } from '../../../src/errors.ts';
import { float16Bits } from '../../../src/weights/convert-dtype.ts';
import { readGguf } from '../../../src/weights/gguf/gguf-file.ts';
import { readTensors } from '../../../src/weights/read-tensors.ts';
import { readTensor } from '../../../src/weights/tensor-data.ts';
import { drain } from '../../support/drain.ts';
import { type GgufParts, ggufFile, joined, text, u32, u64, value } from '../../support/gguf-bytes.ts';
import { memorySource } from '../../support/memory-source.ts';
import { rejectionOf } from '../../support/thrown-by.ts';

const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/gguf/${name}`, import.meta.url));
const types = new Uint8Array(readFileSync(fixture('types.gguf')));
const expected = await readTensors(fixture('types.safetensors'));
const codings = [
  'Q4_0',
  'Q4_1',
  'Q5_0',
  'Q5_1',
  'Q8_0',
  'IQ4_NL',
  'Q2_K',
  'Q3_K',
  'Q4_K',
  'Q5_K',
  'Q6_K',
  'IQ4_XS',
];

function read(file: Uint8Array | GgufParts) {
  return readGguf(memorySource(file instanceof Uint8Array ? file : ggufFile(file), 'model.gguf'));
}

async function weightOf(file: Uint8Array | GgufParts, name: string) {
  const weight = (await read(file)).weights.get(name);
  if (!weight) throw new Error(`no ${name}`);
  return weight;
}

/** The error for a file: of one sentence that names it, with what to do; nothing of a claimed size was allocated. */
async function refusal(parts: GgufParts | Uint8Array): Promise<SdConvertError> {
  const source = memorySource(parts instanceof Uint8Array ? parts : ggufFile(parts), 'model.gguf');
  const error = await rejectionOf(readGguf(source));
  expect(error.problem).toMatch(/^model\.gguf [^.]+(\.\d[^.]*)?\.$/);
  expect(error.advice).toBeTruthy();
  expect(source.largestRead).toBeLessThanOrEqual(1 << 16);
  return error;
}

describe('a tensor', () => {
  test.each([...codings, 'F32', 'F16', 'BF16'])(
    'of %s has the numbers that the gguf package gives',
    async (name) => {
      const reference = expected.get(name);
      const weight = await weightOf(types, name);
      const { shape, data } = await readTensor(weight, 'f32');
      expect(shape).toEqual(reference?.shape);
      expect([...data]).toEqual([...(reference?.data ?? [])]); // in float32, with the sign of each zero
    },
  );

  test.each(codings)('of %s in float16 is its float32 rounded once', async (name) => {
    const [whole, half] = [await weightOf(types, name), await weightOf(types, name)];
    const { data } = await readTensor(whole, 'f32');
    const bits = [...(await readTensor(half, 'f16')).data];
    // The sign of what is no number means nothing.
    expect(bits.map((each) => (each === 0xfe00 ? 0x7e00 : each))).toEqual(
      Array.from(data, (each) => (Number.isNaN(each) ? 0x7e00 : float16Bits(each))),
    );
  });

  test('larger than a block of the stream comes in blocks, and none is lost', async () => {
    const blocks = 40_000;
    const data = new Uint8Array(34 * blocks).map((_, at) => (at % 34 < 2 ? at % 34 : at ** 2)); // scales of 2⁻¹⁶
    const weight = await weightOf({ tensors: [{ name: 'w', sizes: [32, blocks], type: 8, data }] }, 'w');
    let at = 0;
    for await (const each of weight.stream('f32')) {
      expect(each.length).toBeLessThanOrEqual(1 << 20);
      const numbers = new Float32Array(each.buffer, each.byteOffset, each.length / 4);
      const first = 34 * (at / 32) + 2;
      const codes = Int8Array.from({ length: numbers.length }, (_, i) => data[first + i + 2 * (i >> 5)] ?? 0);
      expect(numbers).toEqual(Float32Array.from(codes, (code) => code * 2 ** -16));
      at += numbers.length;
    }
    expect(at).toBe(32 * blocks);
  });

  test('knows its type and the bits of one element', async () => {
    const { weights, metadata } = await read(types);
    expect(weights.get('Q4_K')?.coding).toEqual({ name: 'Q4_K', bits: 4.5 });
    expect(weights.get('Q4_K')?.dtype).toBe('f32');
    expect(weights.get('F16')?.dtype).toBe('f16');
    expect(metadata).toMatchObject({ 'general.architecture': 'sd1', 'some.number': '0.5' });
    expect(metadata).not.toHaveProperty('some.texts');
  });

  test('that ComfyUI-GGUF reshaped has the shape it had', async () => {
    const bytes = new Uint8Array(readFileSync(fixture('reshaped.gguf')));
    const reference = (await readTensors(fixture('reshaped.safetensors'))).get('conv.weight');
    const { shape, data } = await readTensor(await weightOf(bytes, 'conv.weight'), 'f32');
    expect(shape).toEqual([16, 16, 3, 3]);
    expect(data).toEqual(reference?.data);
  });

  test('of whole numbers is read as it is, and does not become a float', async () => {
    const weight = await weightOf(
      { tensors: [{ name: 'ids', sizes: [2], type: 26, data: new Uint8Array(Int32Array.of(5, -1).buffer) }] },
      'ids',
    );
    expect(new Int32Array((await drain(weight)).buffer)).toEqual(Int32Array.of(5, -1));
    await expect(readTensor(weight, 'f32')).rejects.toThrow('does not convert');
  });

  test('of packed blocks does not become whole numbers', async () => {
    await expect(readTensor(await weightOf(types, 'Q4_K'), 'i32')).rejects.toThrow('stored as Q4_K');
  });
});

test('versions 2 and 3, an alignment of 64 and empty tensors are read', async () => {
  const data = new Uint8Array(Float32Array.of(1, 2).buffer);
  for (const version of [2, 3]) {
    const file = {
      version,
      alignment: 64,
      values: [value('general.alignment', 4, u32(64))],
      tensors: [
        { name: 'a', sizes: [2], data },
        { name: 'none', sizes: [0, 3] },
        { name: 'b', sizes: [2], data },
      ],
    };
    expect((await readTensor(await weightOf(file, 'b'), 'f32')).data).toEqual(Float32Array.of(1, 2));
    expect((await readTensor(await weightOf(file, 'none'), 'f32')).shape).toEqual([3, 0]);
  }
});

const float = new Uint8Array(4);
const listOf = (type: number, length: number | bigint, ...rest: Uint8Array[]) =>
  value('list', 9, u32(type), u64(length), ...rest);

/** Lists of one list each, in each other. */
function lists(depth: number): Uint8Array {
  const [bytes, one] = [new Uint8Array(12 * depth), joined(u32(9), u64(1))];
  for (let at = 0; at < bytes.length; at += 12) bytes.set(one, at);
  return bytes;
}

describe('is refused:', () => {
  test.each<[string, GgufParts, string]>([
    ['2⁶⁰ tensors', { counts: [2n ** 60n, 0] }, 'ends before'],
    ['2⁶⁴−1 values', { counts: [0, 2n ** 64n - 1n] }, 'ends before'],
    [
      'more tensors than there are',
      { tensors: [{ name: 'w', sizes: [1], data: float }], counts: [3, 0] },
      '',
    ],
    ['a tensor of 2⁶⁰ elements', { tensors: [{ name: 'w', sizes: [2n ** 60n] }] }, 'too large to count'],
    ['a tensor of 2³⁰ × 2³⁰', { tensors: [{ name: 'w', sizes: [2 ** 30, 2 ** 30], type: 12 }] }, 'too large'],
    ['five dimensions', { tensors: [{ name: 'w', sizes: [1, 1, 1, 1, 1], data: float }] }, 'more than 4 dim'],
    ['2³² − 1 dimensions', { values: [], tensors: [{ name: 'w', sizes: [] }] }, ''],
    ['a place behind the end', { tensors: [{ name: 'w', sizes: [1], place: 64, data: float }] }, 'cut short'],
    ['a place of 2⁶³', { tensors: [{ name: 'w', sizes: [1], place: 2n ** 63n }] }, 'too large'],
    [
      'a place off the alignment',
      { tensors: [{ name: 'w', sizes: [1], place: 8, data: float }] },
      'multiple',
    ],
    [
      'overlapping tensors',
      {
        tensors: [
          { name: 'a', sizes: [16], data: new Uint8Array(64) },
          { name: 'b', sizes: [1], place: 32 },
        ],
      },
      'overlap',
    ],
    [
      'one name twice',
      {
        tensors: [
          { name: 'a', sizes: [1], data: float },
          { name: 'a', sizes: [1], data: float },
        ],
      },
      'one name',
    ],
    [
      'an unknown type',
      { tensors: [{ name: 'w', sizes: [1], type: 99, data: float }] },
      'type that the format',
    ],
    ['half a block', { tensors: [{ name: 'w', sizes: [128, 2], type: 12 }] }, 'whole number of blocks'],
    ['an alignment of 0', { values: [value('general.alignment', 4, u32(0))] }, 'alignment'],
    ['an alignment of text', { values: [value('general.alignment', 8, text('x'))] }, 'alignment'],
    ['a value of no type', { values: [value('x', 13, u32(0))] }, 'type that the format'],
    ['a list of no type', { values: [listOf(13, 1)] }, 'type that the format'],
    ['a list of 2⁶⁰ numbers', { values: [listOf(4, 2n ** 60n)] }, 'ends before'],
    ['a list of 2⁶⁰ texts', { values: [listOf(8, 2n ** 60n)] }, 'ends before'],
    ['a list of 2⁶⁰ lists', { values: [listOf(9, 2n ** 60n)] }, 'ends before'],
    ['lists in lists, 100,000 deep', { values: [listOf(9, 1, lists(100_000))] }, 'too deep'],
    ['a key of 2⁴⁰ bytes', { values: [joined(u64(2n ** 40n), u32(0), u64(0))] }, 'ends before'],
    ['a text of 2⁶³ bytes', { values: [value('x', 8, u64(2n ** 63n))] }, 'ends before'],
    [
      'an original shape of another size',
      {
        values: [value('comfy.gguf.orig_shape.w', 9, u32(5), u64(2), u32(2), u32(3))],
        tensors: [{ name: 'w', sizes: [1], data: float }],
      },
      'original shape',
    ],
  ])('%s', async (name, parts, problem) => {
    const bytes = ggufFile(parts);
    if (name === '2³² − 1 dimensions') bytes.fill(255, 24 + 9, 24 + 13);
    const error = await refusal(bytes);
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.problem).toContain(problem);
  });

  test.each<[string, GgufParts, string]>([
    ['version 1', { version: 1 }, 'version 1'],
    ['a file of another byte order', { version: 0x03000000 }, 'little-endian'],
    ['one part of several', { values: [value('split.count', 2, new Uint8Array([3, 0]))] }, 'one part'],
    ['a type that is not read', { tensors: [{ name: 'w', sizes: [256], type: 16 }] }, 'IQ2_XXS'],
  ])('%s', async (_name, parts, problem) => {
    const error = await refusal(parts);
    expect(error).toBeInstanceOf(UnsupportedModelError);
    expect(error.problem).toContain(problem);
  });

  test('a file that is cut short anywhere', async () => {
    for (let length = 4; length < types.length; length += 97) await refusal(types.subarray(0, length));
  });
});

test('whatever bytes of a file are changed, it is read or refused, and nothing else happens', async () => {
  const header = 1400; // what is behind it are numbers, and any are right
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(header), fc.nat(255)), { minLength: 1, maxLength: 6 }),
      async (changes) => {
        const bytes = Uint8Array.from(types);
        for (const [at, byte] of changes) bytes[at] = byte;
        try {
          for (const weight of (await read(bytes)).weights.values()) await readTensor(weight, weight.dtype);
        } catch (error) {
          if (!(error instanceof SdConvertError)) throw error;
        }
      },
    ),
    { seed: 15, numRuns: 300 },
  );
});
