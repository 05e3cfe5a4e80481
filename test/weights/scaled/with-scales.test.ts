import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { FileFormatError, SdConvertError, UnsupportedModelError } from '../../../src/errors.ts';
import { float8E4m3Value, float16Bits } from '../../../src/weights/convert-dtype.ts';
import { byteSize, type DType, elementCount } from '../../../src/weights/dtype.ts';
import { readTensors } from '../../../src/weights/read-tensors.ts';
import { withScales } from '../../../src/weights/scaled/with-scales.ts';
import { readTensor } from '../../../src/weights/tensor-data.ts';
import type { Weight } from '../../../src/weights/weight.ts';
import { openWeightFile } from '../../../src/weights/weight-file.ts';
import { bytesWeight, unreadWeight } from '../../support/memory-weight.ts';
import { rejectionOf } from '../../support/thrown-by.ts';

const fixture = (name: string) =>
  fileURLToPath(new URL(`../../fixtures/scaled/${name}.safetensors`, import.meta.url));

describe.each(['comfy-first', 'by-channel', 'int8', 'nvfp4-diffusers', 'nvfp4-comfy'])('%s', async (name) => {
  const expected = await readTensors(fixture(`${name}.values`));
  const file = await openWeightFile(fixture(name));
  afterAll(() => file.close());

  test('has the tensors of the model, and no scales', () => {
    expect([...file.weights.keys()].sort()).toEqual([...expected.keys()].sort());
  });

  test.each([...expected])('%s has the float32s of the reference', async (tensor, reference) => {
    const weight = file.weights.get(tensor);
    if (!weight) throw new Error(`no ${tensor}`);
    const { shape, data } = await readTensor(weight, 'f32');
    expect(shape).toEqual(reference.shape);
    expect(data).toEqual(reference.data);
    const half = [...(await readTensor(weight, 'f16')).data].map((bits) =>
      (bits & 0x7fff) > 0x7c00 ? 0x7e00 : bits,
    );
    expect(half).toEqual(Array.from(data, (each) => (Number.isNaN(each) ? 0x7e00 : float16Bits(each))));
  });
});

/** A weight in memory; without bytes, one that must not be read. */
function weightOf(name: string, dtype: DType, shape: readonly number[], bytes?: Uint8Array): Weight {
  return bytes
    ? bytesWeight(name, dtype, shape, bytes)
    : { ...unreadWeight(name, shape, dtype), file: 'memory' };
}

function weightIn(weights: ReadonlyMap<string, Weight>): Weight {
  const weight = weights.get('a.weight');
  if (weight) return weight;
  throw new Error('no a.weight');
}

/** The tensors that are read of these, by name. */

function scaled(...weights: Weight[]): Promise<ReadonlyMap<string, Weight>> {
  return withScales({ metadata: {}, weights: new Map(weights.map((weight) => [weight.name, weight])) });
}

test('what is scaled says so, with its bits', async () => {
  const { weights, close } = await openWeightFile(fixture('nvfp4-comfy'));
  expect(weights.get('tiled16.weight')?.coding).toEqual({ name: 'nvfp4', bits: 4.5 });
  await close();
  const all = await scaled(weightOf('a.weight', 'f8_e5m2', [2, 2]), weightOf('a.scale_weight', 'f32', []));
  expect(all.get('a.weight')?.coding).toEqual({ name: 'float8_e5m2 scaled', bits: 8 });
});

test('each element is multiplied by the scale of its block, wherever blocks of the stream end', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({ rows: fc.integer({ min: 1, max: 4 }), columns: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ rows: fc.constantFrom(1, 3, 200), columns: fc.constantFrom(1, 7, 600) }),
      async (grid, block) => {
        const shape = [grid.rows * block.rows, grid.columns * block.columns];
        // Of blocks of 128 the last may be smaller: what could be either is that.
        fc.pre(
          [0, 1].every(
            (axis) =>
              [grid.rows, grid.columns][axis] === 1 ||
              Math.ceil((shape[axis] ?? 0) / 128) !== [grid.rows, grid.columns][axis],
          ),
        );
        const codes = new Uint8Array(elementCount(shape)).map((_, i) => i % 126);
        const scales = Float32Array.from({ length: grid.rows * grid.columns }, (_, i) => 1 / (i + 3));
        const weights = await scaled(
          weightOf('a.weight', 'f8_e4m3', shape, codes),
          weightOf('a.weight_scale', 'f32', [grid.rows, grid.columns], new Uint8Array(scales.buffer)),
        );
        const { data } = await readTensor(weightIn(weights), 'f32');
        const [, columns = 0] = shape;
        const wanted = Float32Array.from(codes, (code, i) => {
          const [row, column] = [Math.floor(i / columns), i % columns];
          const at = Math.floor(row / block.rows) * grid.columns + Math.floor(column / block.columns);
          return float8E4m3Value(code) * (scales[at] ?? 0);
        });
        expect(data).toEqual(wanted);
      },
    ),
    { seed: 15, numRuns: 60 },
  );
});

describe('8-bit floats without scales', () => {
  const codes = (...last: number[]) => Uint8Array.from([...Array(12 - last.length).fill(0x38), ...last]);
  test.each<[DType, number[]]>([
    ['f8_e4m3', [0x7e, 0xfe]],
    ['f8_e5m2', [0x7b, 0xfb]],
  ])('of %s are refused where they were cut off, with the count', async (dtype, saturated) => {
    for (const to of ['f32', 'f16', dtype] as const) {
      const weights = await scaled(weightOf('a.weight', dtype, [3, 4], codes(...saturated)));
      const error = await rejectionOf(readTensor(weightIn(weights), to));
      expect(error).toBeInstanceOf(UnsupportedModelError);
      expect(error.problem).toMatch(/^memory .*: 2 values of "a.weight" at ±(448|57344)/);
      expect(error.details).toEqual({ values: '12' });
    }
  });

  test('that are near the largest are as they are', async () => {
    const weights = await scaled(weightOf('a.weight', 'f8_e4m3', [3, 4], codes(0x7d, 0xfd)));
    const { data } = await readTensor(weightIn(weights), 'f32');
    expect(data.at(-1)).toBe(-416);
  });

  test('beside scaled ones that were cut off are no reason to refuse those', async () => {
    const weights = await scaled(
      weightOf('a.weight', 'f8_e4m3', [3, 4], codes(0x7e)),
      weightOf('a.scale_weight', 'f32', [1], new Uint8Array(Float32Array.of(0.5).buffer)),
    );
    const { data } = await readTensor(weightIn(weights), 'f32');
    expect(data.at(-1)).toBe(224);
  });
});

const marker = (value: unknown, name = 'a.comfy_quant') => {
  const bytes = new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
  return weightOf(name, 'u8', [bytes.length], bytes);
};
const f8 = weightOf('a.weight', 'f8_e4m3', [4, 6]);

describe('is refused, with one sentence:', () => {
  test.each<[string, Weight[], string]>([
    ['a scale of another number of rows', [f8, weightOf('a.weight_scale', 'f32', [5])], 'does not fit'],
    ['a scale for each column', [f8, weightOf('a.weight_scale', 'f32', [6])], 'does not fit'],
    ['a scale of too many axes', [f8, weightOf('a.weight_scale', 'f32', [1, 2, 2])], 'does not fit'],
    ['a scale of no number', [f8, weightOf('a.weight_scale', 'f32', [0])], 'does not fit'],
    ['a scale of whole numbers', [f8, weightOf('a.weight_scale', 'i32', [])], 'does not fit'],
    ['2⁶⁰ scales', [f8, weightOf('a.weight_scale', 'f32', [2 ** 30, 2 ** 30])], 'does not fit'],
    ['a scale without a weight', [weightOf('a.scale_weight', 'f32', [])], 'does not hold'],
    ['a scale for the whole alone', [f8, weightOf('a.weight_scale_2', 'f32', [])], 'does not hold'],
    [
      'two scales for one weight',
      [f8, weightOf('a.weight_scale', 'f32', []), weightOf('a.scale_weight', 'f32', [])],
      'two scales',
    ],
    [
      'signed bytes without their scale',
      [weightOf('a.weight', 'i8', [4]), marker({ format: 'int8_tensorwise' })],
      'lacks the scale',
    ],
    [
      '4-bit floats without theirs',
      [weightOf('a.weight', 'u8', [4, 8]), marker({ format: 'nvfp4' })],
      'lacks the scale',
    ],
    ['a description that is no JSON', [f8, marker('{"format":')], 'does not say'],
    ['a description without a format', [f8, marker({})], 'does not say'],
    ['a description as floats', [f8, weightOf('a.comfy_quant', 'f32', [4])], 'does not say'],
    ['a description of 1 GB', [f8, weightOf('a.comfy_quant', 'u8', [2 ** 30])], 'does not say'],
    [
      '4-bit floats with scales for groups of 8',
      [
        weightOf('a.weight', 'u8', [4, 16]),
        weightOf('a.weight_scale', 'f8_e4m3', [4, 4]),
        weightOf('a.weight_scale_2', 'f32', []),
      ],
      'does not fit',
    ],
    [
      '4-bit floats of an odd row',
      [
        weightOf('a.weight', 'u8', [4, 17]),
        weightOf('a.weight_scale', 'f8_e4m3', [4, 2]),
        weightOf('a.weight_scale_2', 'f32', []),
      ],
      'does not fit',
    ],
  ])('%s', async (_name, weights, problem) => {
    const error = await rejectionOf(scaled(...weights));
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.problem).toMatch(/^memory [^.]+\.$/);
    expect(error.problem).toContain(problem);
  });

  test.each<[string, Weight[], string]>([
    ['a rotation', [f8, marker({ format: 'int8_tensorwise', convrot: true })], 'rotated (convrot)'],
    [
      'a rotation among parameters',
      [f8, marker({ format: 'int8_tensorwise', params: { convrot: true } })],
      'rotated',
    ],
    ['a format of its own', [f8, marker({ format: 'convrot_w4a4' })], 'convrot_w4a4'],
    [
      'whole numbers with a scale',
      [weightOf('a.weight', 'i32', [2]), weightOf('a.weight_scale', 'f32', [])],
      'kind that is not known',
    ],
    [
      'bitsandbytes',
      [weightOf('a.weight', 'u8', [8, 1]), weightOf('a.weight.absmax', 'f32', [1])],
      'bitsandbytes',
    ],
    ['SVDQuant', [weightOf('a.qweight', 'i8', [8, 1])], 'SVDQuant'],
    ['smoothing', [f8, weightOf('a.pre_quant_scale', 'f32', [6])], 'smoothing'],
  ])('%s', async (_name, weights, problem) => {
    const error = await rejectionOf(scaled(...weights));
    expect(error).toBeInstanceOf(UnsupportedModelError);
    expect(error.problem).toContain(problem);
  });

  test.each(['{', '[]', '{"layers":[]}', '{"layers":{"a":{"convrot":true,"format":"int8_tensorwise"}}}'])(
    'a header that says %s',
    async (text) => {
      const refused = withScales({
        metadata: { _quantization_metadata: text },
        weights: new Map([['a.weight', f8]]),
      });
      expect((await rejectionOf(refused)).problem).toMatch(/does not say|rotated/);
    },
  );
});

test('a file without scales is as it is', async () => {
  const weights = [
    weightOf('a.weight', 'f16', [2]),
    weightOf('ids', 'i64', [2]),
    weightOf('lora.alpha', 'f32', []),
  ];
  expect([...(await scaled(...weights)).values()]).toEqual(weights);
});

test('whatever lies beside a weight, it is read or refused, and nothing else happens', async () => {
  const dtypes = ['f8_e4m3', 'f8_e5m2', 'f16', 'f32', 'i8', 'u8', 'i64'] as const;
  const formats = ['float8_e4m3fn', 'float8_e5m2', 'int8_tensorwise', 'nvfp4', 'mxfp8', 7, null];
  const endings = [
    'weight_scale',
    'scale_weight',
    'weight_scale_2',
    'weight_scale_inv',
    'input_scale',
    'bias',
  ];
  const shape = fc.array(fc.constantFrom(0, 1, 2, 16, 32, 128), { maxLength: 3 });
  const tensor = fc.record({ ending: fc.constantFrom(...endings), dtype: fc.constantFrom(...dtypes), shape });
  const inMemory = (name: string, dtype: DType, sizes: readonly number[]) =>
    weightOf(name, dtype, sizes, new Uint8Array(byteSize(sizes, dtype)).fill(0x3c));
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...dtypes),
      shape,
      fc.array(tensor, { maxLength: 3 }),
      fc.option(fc.constantFrom(...formats), { nil: undefined }),
      async (dtype, sizes, others, format) => {
        try {
          const weights = await scaled(
            inMemory('a.weight', dtype, sizes),
            ...others.map((other) => inMemory(`a.${other.ending}`, other.dtype, other.shape)),
            ...(format === undefined ? [] : [marker({ format })]),
          );
          const found = weightIn(weights);
          const { data } = await readTensor(found, found.dtype);
          expect(data.length).toBe(elementCount(found.shape));
        } catch (error) {
          if (!(error instanceof SdConvertError)) throw error;
        }
      },
    ),
    { seed: 15, numRuns: 500 },
  );
});
