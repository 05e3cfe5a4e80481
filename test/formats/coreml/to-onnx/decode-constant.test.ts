import { expect, test } from 'vitest';
import { programFunctions } from '../../../../src/formats/coreml/mil/mil-program.ts';
import { parseMilText } from '../../../../src/formats/coreml/mil/parse-mil-text.ts';
import { decodeConstants, denseBytes } from '../../../../src/formats/coreml/to-onnx/decode-constant.ts';

const nothingInFiles = {
  files: new Map(),
  find: () => {
    throw new Error('all constants stand in the program');
  },
  close: async () => {},
};

/** What the last of some operations gives, for each of its results. */
async function decode(operations: string) {
  const program = parseMilText(`program(1.3){func main<ios18>(){${operations}}->(w);}`, 'model.mil');
  const all = programFunctions(program).flatMap(({ block }) => block.operations);
  const origins = new Map(all.flatMap((each) => each.outputs.map(({ name }) => [name, each] as const)));
  const last = all.at(-1);
  if (!last) throw new Error('there is no operation');
  return decodeConstants(last, { weights: nothingInFiles, operationOf: (name) => origins.get(name) });
}

/** The elements of what the last operation gives first. */
async function elements(operations: string): Promise<number[]> {
  const [first] = await decode(operations);
  return Array.from(first?.data ?? []);
}

/** As many bits of each number as are asked for, the lowest first, in bytes. */
function packed(numbers: readonly number[], bits: number): string {
  const stream = numbers.flatMap((number) => Array.from({ length: bits }, (_, bit) => (number >> bit) & 1));
  const bytes = Array.from({ length: Math.ceil(stream.length / 8) }, (_, byte) =>
    stream.slice(byte * 8, byte * 8 + 8).reduce((sum, bit, place) => sum + (bit << place), 0),
  );
  return `tensor<uint8, [${bytes.length}]>([${bytes.join(', ')}])`;
}

test.each([1, 2, 4, 6, 8])(
  'indices of %d bits into a palette are read as iOS 16 packs them',
  async (bits) => {
    const size = 2 ** bits;
    const palette = Array.from({ length: size }, (_, entry) => entry / 4 - 8);
    const indices = Array.from({ length: 15 }, (_, place) => (place * 37 + 11) % size);
    const lut = `tensor<fp16, [${size}]>([${palette.join(', ')}])`;
    const shape = 'tensor<uint32, [2]>([3, 5])';
    expect(
      await elements(
        `tensor<fp16, [3, 5]> w = constexpr_lut_to_dense()[indices = ${packed(indices, bits)}, lut = ${lut}, shape = ${shape}];`,
      ),
    ).toEqual(indices.map((index) => palette[index]));
  },
);

test('each group of channels has a palette of its own', async () => {
  const indices = 'tensor<uint2, [4, 2]>([[0, 1], [2, 3], [0, 1], [2, 3]])';
  const lut = 'tensor<fp32, [2, 1, 4, 1]>([[[[1], [2], [3], [4]]], [[[-1], [-2], [-3], [-4]]]])';
  expect(
    await elements(`tensor<fp32, [4, 2]> w = constexpr_lut_to_dense(indices = ${indices}, lut = ${lut});`),
  ).toEqual([1, 2, 3, 4, -1, -2, -3, -4]);
});

test.each([
  [0, [4, 3], [1, 3, 5, 2, 4, 6, 5, 1, 3, 6, 2, 4]],
  [1, [2, 6], [1, 2, 3, 4, 5, 6, 5, 6, 1, 2, 3, 4]],
] as const)('the numbers of a vector lie behind each other on axis %d', async (axis, shape, expected) => {
  const indices = 'tensor<uint2, [2, 3]>([[0, 1, 2], [2, 0, 1]])';
  const lut = 'tensor<fp32, [1, 1, 4, 2]>([[[[1, 2], [3, 4], [5, 6], [7, 8]]]])';
  expect(
    await elements(
      `tensor<fp32, [${shape.join(', ')}]> w = constexpr_lut_to_dense(indices = ${indices}, lut = ${lut}, vector_axis = int32(${axis}));`,
    ),
  ).toEqual(expected);
});

test.each([
  [
    'for each channel of an axis',
    'tensor<fp32, [2]>([0.5, 2])',
    'tensor<int8, [2]>([1, -1])',
    [-1, 0, 0.5, 10, 2, -6],
  ],
  ['for all', 'fp32(0.5)', 'int8(1)', [-1, 0, 0.5, 1.5, -0.5, -2.5]],
])('integers are shifted and scaled %s', async (_, scale, zero, expected) => {
  const data = 'tensor<int8, [2, 3]>([[-1, 1, 2], [4, 0, -4]])';
  expect(
    await elements(
      `tensor<fp32, [2, 3]> w = constexpr_affine_dequantize()[quantized_data = ${data}, zero_point = ${zero}, scale = ${scale}, axis = int32(0)];`,
    ),
  ).toEqual(expected);
});

test('integers of 4 bits are shifted and scaled in blocks', async () => {
  const data = 'tensor<int4, [2, 4]>([[-8, 7, 1, 2], [3, 4, -1, 0]])';
  const scale = 'tensor<fp32, [2, 2]>([[0.5, 2], [1, 10]])';
  const offset = 'tensor<int4, [2, 2]>([[1, 0], [-1, 2]])';
  const parameters = `data = ${data}, scale = ${scale}`;
  expect(
    await elements(
      `tensor<fp32, [2, 4]> w = constexpr_blockwise_shift_scale(${parameters}, offset = ${offset});`,
    ),
  ).toEqual([-4.5, 3, 2, 4, 4, 5, -30, -20]);
  expect(await elements(`tensor<fp32, [2, 4]> w = constexpr_blockwise_shift_scale(${parameters});`)).toEqual([
    -4, 3.5, 2, 4, 3, 4, -10, 0,
  ]);
});

test('numbers stand where the mask says, in both forms of it', async () => {
  const numbers = 'tensor<fp32, [3]>([1, 2, 3])';
  const shape = 'tensor<uint32, [2]>([2, 5])';
  const expected = [0, 1, 0, 0, 2, 0, 0, 0, 0, 3];
  expect(
    await elements(
      `tensor<fp32, [2, 5]> w = constexpr_sparse_to_dense()[nonzero_data = ${numbers}, mask = ${packed([0, 1, 0, 0, 1, 0, 0, 0, 0, 1], 1)}, shape = ${shape}];`,
    ),
  ).toEqual(expected);
  const mask = 'tensor<uint1, [2, 5]>([[0, 1, 0, 0, 1], [0, 0, 0, 0, 1]])';
  expect(
    await elements(
      `tensor<fp32, [2, 5]> w = constexpr_sparse_to_dense(nonzero_data = ${numbers}, mask = ${mask});`,
    ),
  ).toEqual(expected);
});

test('what is sparse may be compressed once more', async () => {
  const mask = 'tensor<uint1, [2, 2]>([[1, 0], [1, 1]])';
  const dense = 'tensor<fp32, [SHAPE]> w = constexpr_sparse_to_dense(nonzero_data = d, mask = m);';
  const lut = 'tensor<fp32, [2, 1, 2, 1]>([[[[1], [2]]], [[[3], [4]]]])';
  expect(
    await elements(
      `tensor<uint1, [2, 2]> m, tensor<fp32, [3]> d = constexpr_lut_to_sparse(indices_mask = ${mask}, indices_nonzero_data = tensor<uint1, [3]>([1, 0, 1]), lut = ${lut});${dense.replace('SHAPE', '2, 2')}`,
    ),
  ).toEqual([2, 0, 3, 4]);

  const vectors = 'tensor<fp32, [1, 1, 2, 2]>([[[[1, 2], [3, 4]]]])';
  expect(
    await elements(
      `tensor<uint1, [4, 2]> m, tensor<fp32, [6]> d = constexpr_lut_to_sparse(indices_mask = ${mask}, indices_nonzero_data = tensor<uint1, [3]>([1, 0, 1]), lut = ${vectors}, vector_axis = int32(0));${dense.replace('SHAPE', '4, 2')}`,
    ),
  ).toEqual([3, 0, 4, 0, 1, 3, 2, 4]);

  expect(
    await elements(
      `tensor<uint1, [2, 2]> m, tensor<fp32, [3]> d = constexpr_sparse_blockwise_shift_scale(data_mask = ${mask}, nonzero_data = tensor<int8, [3]>([5, 6, 7]), scale = tensor<fp32, [2, 1]>([[1], [10]]), offset = tensor<int8, [2, 1]>([[4], [5]]));${dense.replace('SHAPE', '2, 2')}`,
    ),
  ).toEqual([1, 0, 10, 20]);
});

test('a palette may itself be compressed', async () => {
  const palette =
    'tensor<fp16, [1, 4, 1]> p = constexpr_blockwise_shift_scale(data = tensor<int8, [1, 4, 1]>([[[1], [2], [3], [4]]]), scale = tensor<fp16, [1, 1, 1]>([[[0.5]]]));';
  const indices = 'tensor<uint2, [3]>([3, 0, 1])';
  expect(
    await elements(`${palette}tensor<fp16, [3]> w = constexpr_lut_to_dense(indices = ${indices}, lut = p);`),
  ).toEqual([2, 0.5, 1]);
});

test('results are rounded to the dtype they declare, and stored in it', async () => {
  const product = (dtype: string) =>
    decode(
      `tensor<${dtype}, [1]> w = constexpr_blockwise_shift_scale(data = tensor<int8, [1]>([3]), scale = tensor<fp32, [1]>([0.1]));`,
    );
  const [float16] = await product('fp16');
  const [float32] = await product('fp32');
  if (!float16 || !float32) throw new Error('nothing was decoded');
  expect(float16.data[0]).toBe(0.300048828125);
  expect(denseBytes(float16)).toEqual(Uint8Array.from([0xcd, 0x34]));
  expect(float32.data[0]).toBe(Math.fround(3 * Math.fround(0.1)));
  expect(denseBytes(float32).length).toBe(4);

  const source = 'tensor<fp16, [1]>([0.3])';
  expect(
    await elements(
      `tensor<fp32, [1]> w = constexpr_cast(source_val = ${source}, output_dtype = string("fp32"));`,
    ),
  ).toEqual([0.300048828125]);
});

test('parameters that do not fit together are an error, not other numbers', async () => {
  const numbers = 'tensor<fp32, [1]>([1])';
  await expect(
    elements(
      `tensor<fp32, [3]> w = constexpr_sparse_to_dense(nonzero_data = ${numbers}, mask = tensor<uint1, [2]>([1, 0]));`,
    ),
  ).rejects.toThrow('does not give what w declares');
  await expect(
    elements(`tensor<fp32, [2]> w = constexpr_sparse_to_dense(nonzero_data = ${numbers});`),
  ).rejects.toThrow('constexpr_sparse_to_dense has no constant mask');
});

test('a palette of vectors is compared with what is declared before it is expanded', async () => {
  const indices = `tensor<uint1, [8]>([${Array(8).fill(0)}])`;
  const lut = (length: number) =>
    `tensor<fp32, [1, 2, ${length}]>([[[${Array(length).fill(1)}], [${Array(length).fill(2)}]]])`;
  const operation = (length: number, declared: number) =>
    `tensor<fp32, [${declared}]> w = constexpr_lut_to_dense(indices = ${indices}, lut = ${lut(length)}, vector_axis = int32(0));`;
  expect(await elements(operation(2, 16))).toHaveLength(16);
  await expect(decode(operation(4, 16))).rejects.toThrow('32 elements are more than declared');
  await expect(decode(operation(1000, 8000))).rejects.toThrow('an index stands for 1000 numbers');
});

test('what is compressed over and over is refused, not decoded over and over', async () => {
  const sparse = (name: string, from: string) =>
    `tensor<fp32, [2]> ${name} = constexpr_sparse_to_dense(nonzero_data = ${from}, mask = ${from});`;
  const chain = Array.from({ length: 30 }, (_, n) => sparse(`w${n + 1}`, `w${n}`)).join('');
  await expect(
    decode(`tensor<fp32, [2]> w0 = const()[val = tensor<fp32, [2]>([1, 2])];${chain}`),
  ).rejects.toThrow('compressed over and over');
});
