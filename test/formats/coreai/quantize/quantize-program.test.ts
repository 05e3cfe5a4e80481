import { describe, expect, test } from 'vitest';
import { RequestError } from '../../../../src/errors.ts';
import { buildProgram } from '../../../../src/formats/coreai/lower/build-program.ts';
import type {
  Attribute,
  Operation,
  Program,
  TensorType,
  Value,
} from '../../../../src/formats/coreai/program.ts';
import { quantizeProgram } from '../../../../src/formats/coreai/quantize/quantize-program.ts';
import { undividedNote } from '../../../../src/quantize/equal-groups.ts';
import type { PaletteBits } from '../../../../src/quantize/palette/palette.ts';
import { planQuantization, type QuantizationOptions } from '../../../../src/quantize/plan.ts';
import { float16Bits, float16Value } from '../../../../src/weights/convert-dtype.ts';
import { elementCount } from '../../../../src/weights/dtype.ts';
import { readStream } from '../../../../src/weights/tensor-stream.ts';
import {
  linearized,
  palettized,
  quantizable,
  smallNetwork,
  smallNumbers,
  withReplaced,
} from '../../../quantize/small-network.ts';
import { constantNumbers } from '../../../support/coreai-constants.ts';
import { thrownBy } from '../../../support/thrown-by.ts';
import { operation, programOf, tensor, weight } from '../small-programs.ts';

const numbers = smallNumbers();

function quantized(options: QuantizationOptions, precision: 'float16' | 'float16-weights' = 'float16') {
  return quantizeProgram(buildProgram(smallNetwork(numbers, precision)), planQuantization(options));
}

/** The numbers that the operations of a program expand its compressed weights to, in order. */
async function expanded({ graphs }: Program): Promise<number[][]> {
  const operations = graphs.flatMap((graph) => graph.operations);
  const found: number[][] = [];
  for (const operation of operations) {
    if (operation.name === 'primitive.lut_to_dense_v1') found.push(await lookedUp(operation, operations));
    if (operation.name === 'primitive.blockwise_shift_scale_v2')
      found.push(await scaled(operation, operations));
  }
  return found;
}

async function lookedUp({ operands }: Operation, operations: readonly Operation[]): Promise<number[]> {
  const [indices, table, axis] = operands;
  if (!indices || !table || !axis) throw new Error('a palette has indices, a table and an axis');
  const [entries, all, vectors] = await Promise.all(
    [table, indices, axis].map((value) => numbersOf(value, operations)),
  );
  expect(vectors).toEqual([0]);
  const shape = sizes(table.type);
  const [groups = 1, entriesEach = 1] = [shape[0], shape.at(-2)];
  const each = (all?.length ?? 0) / groups;
  return (all ?? []).map((index, at) => entries?.[Math.floor(at / each) * entriesEach + index] ?? Number.NaN);
}

async function scaled({ operands }: Operation, operations: readonly Operation[]): Promise<number[]> {
  const [data, scale, zero, shift] = operands;
  if (!data || !scale || !zero || !shift) throw new Error('blocks have numbers, scales and two offsets');
  const [all = [], scales = [], zeros = [], shifts = []] = await Promise.all(
    [data, scale, zero, shift].map((value) => numbersOf(value, operations)),
  );
  const [shape, counts] = [sizes(data.type), sizes(scale.type)];
  return all.map((number, at) => {
    let [rest, block, stride] = [at, 0, 1];
    for (const [axis, size] of [...shape.entries()].reverse()) {
      const count = counts[axis] ?? 1;
      block += Math.floor(((rest % size) * count) / size) * stride;
      rest = Math.floor(rest / size);
      stride *= count;
    }
    const round = (value: number) =>
      scale.type.element === 'f16' ? float16Value(float16Bits(value)) : Math.fround(value);
    const [factor, begin, end] = [scales[block] ?? 0, zeros[block] ?? 0, shifts[block] ?? 0];
    // As Apple's runtime has it.
    return data.type.element.endsWith('8')
      ? round(round(factor * number) - round(factor * begin) + end)
      : round(factor * (number - begin) + end);
  });
}

function sizes({ shape }: TensorType): number[] {
  return shape.map((size) => size ?? Number.NaN);
}

async function numbersOf(value: Value, operations: readonly Operation[]): Promise<number[]> {
  const stored = operations.find(({ results }) => results[0] === value)?.properties[0];
  const count = elementCount(sizes(value.type));
  const bytes = await bytesOf(stored);
  const { element } = value.type;
  const bits = /^[iu]\d+$/.test(element) ? Number(element.slice(1)) : 0;
  if (stored?.kind === 'tensor') {
    const found = constantNumbers(bytes, element);
    return stored.splat ? Array<number>(count).fill(found[0] ?? 0) : found;
  }
  if (bits === 0) return constantNumbers(bytes, element);
  // One stream of bits, the lowest of each byte first.
  return Array.from({ length: count }, (_, at) => {
    let number = 0;
    for (let bit = 0; bit < bits; bit++) {
      const place = at * bits + bit;
      number |= (((bytes[place >> 3] ?? 0) >> (place & 7)) & 1) << bit;
    }
    return element.startsWith('i') && number >= 2 ** (bits - 1) ? number - 2 ** bits : number;
  });
}

async function bytesOf(stored: Attribute | undefined): Promise<Uint8Array> {
  if (stored?.kind === 'tensor') return stored.bytes;
  if (stored?.kind === 'resource') return readStream(stored.tensor);
  throw new Error('it is no constant');
}

/** The numbers of the quantised weights as a plain loop replaces them. */
function replaced(replace: (numbers: Float32Array, name: string) => Float32Array): number[][] {
  const all = withReplaced(numbers, replace);
  return quantizable.map((name) => Array.from(all.get(name) ?? []));
}

async function expectNumbers(options: QuantizationOptions, expected: number[][]): Promise<void> {
  const { program, weights } = quantized(options);
  expect(weights.map(({ name }) => name)).toEqual(quantizable);
  expect(await expanded(program)).toEqual(expected);
}

describe('weights expand to exactly the numbers of the palettes', () => {
  test.each([1, 2, 3, 4, 6, 8] as const)('%d bits', async (bits) => {
    await expectNumbers(
      { bits },
      replaced((given) => palettized(given, bits)),
    );
  });

  test.each([3, 4, 6] as const)('%d bits, a palette for every 16 channels', async (bits: PaletteBits) => {
    const groups = (name: string) => (name === 'conv.weight' ? 4 : 6);
    await expectNumbers(
      { bits, groupSize: 16 },
      replaced((given, name) => palettized(given, bits, groups(name))),
    );
  });

  test('a group that does not divide the channels leaves one palette', async () => {
    await expectNumbers(
      { bits: 4, groupSize: 60 },
      replaced((given) => palettized(given, 4)),
    );
  });
});

test('weights whose channels do not make groups are named', () => {
  const note = (options: QuantizationOptions) => undividedNote(quantized(options).weights);
  expect(note({ bits: 4, groupSize: 60 })).toBe(
    '2 weights got one palette each, as the channels do not make groups of 60: conv.weight, linear.weight.',
  );
  expect(note({ bits: 4, mode: 'linear', groupSize: 32 })).toBe(
    '1 weight got one scale for each output channel, as the channels do not make groups of 32: conv.weight.',
  );
  expect(note({ bits: 4, groupSize: 32 })).toBeUndefined();
});

describe('weights expand to exactly the numbers of linear quantisation', () => {
  test.each([
    ['linear', 4],
    ['linear', 8],
    ['linear-symmetric', 4],
    ['linear-symmetric', 8],
  ] as const)('%s, %d bits, a scale for each channel', async (mode, bits) => {
    await expectNumbers(
      { bits, mode },
      replaced((given, name) =>
        linearized(given, bits, name === 'conv.weight' ? 36 : 64, mode === 'linear-symmetric', bits === 8),
      ),
    );
  });

  test.each([
    ['linear', 4],
    ['linear', 8],
    ['linear-symmetric', 4],
    ['linear-symmetric', 8],
  ] as const)('%s, %d bits, in blocks of 32 input channels', async (mode, bits) => {
    await expectNumbers(
      { bits, mode, groupSize: 32 },
      replaced((given, name) =>
        linearized(given, bits, name === 'conv.weight' ? 36 : 32, mode === 'linear-symmetric', bits === 8),
      ),
    );
  });
});

test('weights in float16 of a model that computes in float32 are found behind their casts', () => {
  const { weights } = quantized({ bits: 8 }, 'float16-weights');
  expect(weights.map(({ name }) => name)).toEqual(quantizable);
});

test.each([
  [{ bits: 4, int8Palette: true }, 'palettes of float numbers'],
  [{ bits: 4, channelScales: true }, 'palettes of float numbers'],
  [{ bits: 4, mode: 'linear', matMulNBits: true }, 'MatMulNBits is an operator of ONNX'],
] as const)('%o is refused: Core AI has no such form, or no client that reads it', (options, words) => {
  const error = thrownBy(() => quantized(options));
  expect(error).toBeInstanceOf(RequestError);
  expect(error.message).toContain(words);
});

/** A weight, and operations of Core AI on it, one after the other. */
function chain(name: string, length: number, ...more: readonly Value[]): Program {
  const type = tensor('f32', 64, 64);
  const operations = [weight('w', type, new Uint8Array(4 * 64 * 64))];
  for (let at = 0; at < length; at++)
    operations.push(operation(name, [...(operations.at(-1)?.results ?? []), ...more], [{ type }]));
  return programOf(operations, [], []);
}

test('a weight behind casts without number is left as it is', () => {
  const { weights } = quantizeProgram(chain('primitive.cast_v1', 30_000), planQuantization({ bits: 4 }));
  expect(weights).toEqual([]);
});

test('so is one that is transposed by what is no order of axes', () => {
  const order = operation('primitive.constant_v1', [], [{ type: tensor('i8', 3) }], {
    properties: [{ kind: 'tensor', bytes: Uint8Array.of(1, 0, 2), splat: false }],
  });
  const { graphs, ...program } = chain('primitive.transpose_v1', 1, ...order.results);
  const layer = (operations: readonly Operation[]): Operation =>
    operation('primitive.batch_matmul_v1', operations.at(-1)?.results ?? [], [
      { type: tensor('f32', 64, 64) },
    ]);
  const withOrder = graphs.map((graph) => ({
    ...graph,
    operations: [order, ...graph.operations, layer(graph.operations)],
  }));
  const { weights } = quantizeProgram({ ...program, graphs: withOrder }, planQuantization({ bits: 4 }));
  expect(weights).toEqual([]);
});
