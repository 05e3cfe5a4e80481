import { blockConverter } from '../../../weights/convert-dtype.ts';
import { elementCount } from '../../../weights/dtype.ts';
import { type MilDType, milElement } from '../mil/mil-dtype.ts';
import { immediateElements, type MilTensorType, tensorTypeOf } from '../mil/mil-program.ts';
import type { Operation, Value } from '../mil/mil-schema.ts';
import type { WeightFiles } from '../package/weight-blobs.ts';

/**
 * Compressed weights as Core ML defines them: the `constexpr_…` operations, which are computed once, before a model runs
 * (coremltools, converters/mil/mil/ops/defs/iOS16/constexpr_ops.py and iOS18/compression.py).
 */

/** A constant in memory, its elements in row-major order as numbers. */
export interface DenseConstant {
  readonly dtype: MilDType;
  readonly shape: readonly number[];
  readonly data: Numbers;
}

/** Integers as they are stored, those of less than a byte one a byte; fractions and what stands in the program as floats. */
type Numbers =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array;

/** Lookup of a program's constants. */
export interface ConstantSource {
  readonly weights: WeightFiles;
  /** The `const` or `constexpr_…` operation whose output has a name. */
  operationOf(name: string): Operation | undefined;
}

/** Whether an operation computes a constant from compressed data. */
export function isDecoder({ type }: Operation): boolean {
  return type.startsWith('constexpr_');
}

/** Compressed weights whose parameters are compressed themselves: a palette of 8 bits behind a sparse one is the deepest known. */
const DEEPEST = 3;

/** Longest vectors that an index of a palette stands for; coremltools writes 2 and 4. */
const LONGEST_VECTOR = 16;

/**
 * The constants that a `constexpr_…` operation gives, rounded to the dtypes it declares. Memory: its largest constant,
 * a few times; nothing is expanded before its size is compared with the declared one. Throws `Error` for parameters that
 * contradict each other.
 */
export async function decodeConstants(
  operation: Operation,
  source: ConstantSource,
  depth = 0,
): Promise<readonly DenseConstant[]> {
  if (depth > DEEPEST) throw new Error(`${operation.type} is compressed over and over`);
  const decode = Object.hasOwn(decoders, operation.type) ? decoders[operation.type] : undefined;
  if (!decode) throw new Error(`${operation.type} is not known`);
  const parameters = new Map<string, DenseConstant>();
  for (const parameter of [...Object.keys(operation.attributes), ...Object.keys(operation.inputs)]) {
    const constant = await parameterOf(operation, parameter, source, depth);
    if (constant) parameters.set(parameter, constant);
  }
  const types = operation.outputs.map(({ type }) => tensorTypeOf(type));
  const of = (parameter: string): DenseConstant => {
    const constant = parameters.get(parameter);
    if (!constant) throw new Error(`${operation.type} has no constant ${parameter}`);
    return constant;
  };
  const [largest] = types.map((type) => (type ? elementCount(fixedShape(type)) : 0)).sort((a, b) => b - a);
  const results = decode(of, new Set(parameters.keys()), largest ?? 0);
  return operation.outputs.map(({ name }, index) => {
    const declared = types[index];
    const result = results[index];
    if (!declared || result?.data.length !== elementCount(fixedShape(declared))) {
      throw new Error(`${operation.type} does not give what ${name} declares`);
    }
    return { dtype: declared.dtype, shape: fixedShape(declared), data: rounded(result.data, declared.dtype) };
  });
}

/** A constant's elements as little-endian bytes of its dtype, float16 or float32. */
export function denseBytes({ dtype, data }: DenseConstant): Uint8Array {
  const floats = asFloats(data);
  return dtype === 'fp16' ? toFloat16(floats) : new Uint8Array(floats.buffer);
}

async function parameterOf(
  { attributes, inputs }: Operation,
  parameter: string,
  source: ConstantSource,
  depth: number,
): Promise<DenseConstant | undefined> {
  const [binding] = Object.hasOwn(inputs, parameter) ? (inputs[parameter]?.arguments ?? []) : [];
  const value = attributes[parameter] ?? binding?.value;
  if (value) return readConstant(value, source.weights);
  const origin = source.operationOf(binding?.name ?? '');
  if (!origin) return undefined;
  if (origin.attributes.val) return readConstant(origin.attributes.val, source.weights);
  const index = origin.outputs.findIndex(({ name }) => name === binding?.name);
  return (await decodeConstants(origin, source, depth + 1))[index];
}

/** The elements of a value that stands in the program or in a weight file; `undefined` for texts. */
export async function readConstant(value: Value, weights: WeightFiles): Promise<DenseConstant | undefined> {
  const type = tensorTypeOf(value.type);
  if (!type || type.dtype === 'string') return undefined;
  const { dtype } = type;
  const shape = fixedShape(type);
  if (!value.blobFileValue) {
    const elements = immediateElements(value)?.map(Number) ?? [];
    return { dtype, shape, data: Float64Array.from(elements) };
  }
  const { file, offset, byteLength } = weights.find(value.blobFileValue);
  const bytes = new Uint8Array(byteLength);
  await file.read(bytes, offset);
  return { dtype, shape, data: numbersOf(dtype, bytes, elementCount(shape)) };
}

function numbersOf(dtype: MilDType, { buffer, length }: Uint8Array, count: number): Numbers {
  switch (dtype) {
    case 'fp16':
      return fromFloat16(new Uint8Array(buffer, 0, length));
    case 'fp32':
      return new Float32Array(buffer);
    case 'bf16':
      return new Float32Array(Uint32Array.from(new Uint16Array(buffer), (bits) => bits << 16).buffer);
    case 'int8':
      return new Int8Array(buffer);
    case 'int16':
      return new Int16Array(buffer);
    case 'uint16':
      return new Uint16Array(buffer);
    case 'int32':
      return new Int32Array(buffer);
    case 'uint32':
      return new Uint32Array(buffer);
    case 'int4':
      return Int8Array.from(unpackBits(new Uint8Array(buffer), 4, count), (bits) => (bits ^ 8) - 8);
    default:
      return unpackBits(new Uint8Array(buffer), milElement(dtype).bits, count);
  }
}

/** `count` numbers of 1 to 8 bits from one stream of bits, each byte's lowest bit first. */
function unpackBits(bytes: Numbers, bits: number, count: number): Uint8Array {
  if (!(bits >= 1 && bits <= 8 && Number.isInteger(bits)) || bytes.length * 8 < bits * count) {
    throw new Error(`${bytes.length} bytes are not ${count} numbers of ${bits} bits`);
  }
  if (bits === 8 && bytes instanceof Uint8Array) return bytes;
  const mask = (1 << bits) - 1;
  const numbers = new Uint8Array(count);
  for (let index = 0, at = 0; index < count; index++, at += bits) {
    const byte = at >>> 3;
    const pair = (bytes[byte] ?? 0) | ((bytes[byte + 1] ?? 0) << 8);
    numbers[index] = (pair >>> (at & 7)) & mask;
  }
  return numbers;
}

type Parameter = (name: string) => DenseConstant;
type Result = { readonly data: Numbers };

/** Gives what an operation computes of its parameters, none of it larger than `most` elements. */
type Decoder = (of: Parameter, given: ReadonlySet<string>, most: number) => readonly Result[];

const decoders: Readonly<Record<string, Decoder>> = {
  constexpr_lut_to_dense(of, given, most) {
    const [indices, lut] = [of('indices'), of('lut')];
    if (!given.has('shape'))
      return [lookUp(indices, lut, given.has('vector_axis') ? of('vector_axis') : undefined, most)];
    // Until iOS 17 the indices are bytes into which as many bits as the palette needs are packed.
    const count = elementCount(Array.from(of('shape').data));
    const packed = unpackBits(indices.data, Math.log2(lut.data.length), count);
    const found = new Float32Array(count);
    for (let at = 0; at < count; at++) found[at] = lut.data[packed[at] ?? 0] ?? 0;
    return [{ data: found }];
  },

  constexpr_affine_dequantize(of) {
    const [{ shape, data }, scale, zero] = [of('quantized_data'), of('scale'), of('zero_point')];
    const [axis = 0] = of('axis').data;
    const at = axis < 0 ? axis + shape.length : axis;
    const inner = elementCount(shape.slice(at + 1));
    const perChannel = ({ data: values }: DenseConstant, index: number): number =>
      values[values.length === 1 ? 0 : Math.floor(index / inner) % values.length] ?? 0;
    const result = new Float32Array(data.length);
    for (let index = 0; index < data.length; index++) {
      result[index] = ((data[index] ?? 0) - perChannel(zero, index)) * perChannel(scale, index);
    }
    return [{ data: result }];
  },

  constexpr_blockwise_shift_scale(of, given) {
    const data = of('data');
    return [{ data: shiftAndScale(data, of('scale'), given.has('offset') ? of('offset') : undefined) }];
  },

  constexpr_sparse_to_dense(of, given) {
    const count = given.has('shape') ? elementCount(Array.from(of('shape').data)) : undefined;
    const { data } = of('mask');
    const mask = count === undefined ? data : unpackBits(data, 1, count);
    return [{ data: spread(of('nonzero_data').data, mask) }];
  },

  constexpr_cast: (of) => [of('source_val')],

  constexpr_lut_to_sparse(of, given, most) {
    const mask = of('indices_mask');
    const indices = { ...mask, data: spread(of('indices_nonzero_data').data, mask.data) };
    const axis = given.has('vector_axis') ? of('vector_axis') : undefined;
    const dense = lookUp(indices, of('lut'), axis, mask.data.length * LONGEST_VECTOR);
    const whole = lookUp(mask, repeated([0, 1], of('lut')), axis, most);
    return [whole, { data: dense.data.filter((_, index) => whole.data[index] !== 0) }];
  },

  constexpr_sparse_blockwise_shift_scale(of, given) {
    const mask = of('data_mask');
    const data = { ...mask, data: spread(of('nonzero_data').data, mask.data) };
    const dense = shiftAndScale(data, of('scale'), given.has('offset') ? of('offset') : undefined);
    return [mask, { data: dense.filter((_, index) => mask.data[index] !== 0) }];
  },
};

/**
 * Palettes [groups of each axis…, entries, V]: each index stands for V numbers, which lie behind each other on the vector
 * axis.
 */
function lookUp(
  indices: DenseConstant,
  lut: DenseConstant,
  vectorAxis: DenseConstant | undefined,
  most: number,
): Result {
  const { shape, data } = indices;
  const [entries = 1, length = 1] = lut.shape.slice(-2);
  if (length > LONGEST_VECTOR) throw new Error(`an index stands for ${length} numbers`);
  if (data.length * length > most) throw new Error(`${data.length * length} elements are more than declared`);
  const groupOf = blocks(shape, lut.shape.slice(0, -2));
  const [axis = -1] = vectorAxis?.data ?? [];
  const at = axis < 0 ? axis + shape.length : axis;
  const inner = elementCount(shape.slice(at + 1));
  const found = new Float32Array(data.length * length);
  for (let index = 0; index < data.length; index++) {
    const vector = (groupOf(index) * entries + (data[index] ?? 0)) * length;
    const start = Math.floor(index / inner) * length * inner + (index % inner);
    for (let part = 0; part < length; part++) found[start + part * inner] = lut.data[vector + part] ?? 0;
  }
  return { data: found };
}

/** A palette of scalars as one of vectors that each repeat a number, without groups, as long as those of `like`. */
function repeated(numbers: readonly number[], like: DenseConstant): DenseConstant {
  const length = like.shape.at(-1) ?? 1;
  const data = Float32Array.from(numbers.flatMap((number) => Array(length).fill(number)));
  return { dtype: 'uint1', shape: [...like.shape.slice(0, -2).fill(1), numbers.length, length], data };
}

function shiftAndScale(
  { shape, data }: DenseConstant,
  scale: DenseConstant,
  offset: DenseConstant | undefined,
): Numbers {
  const blockOf = blocks(shape, scale.shape);
  const result = new Float32Array(data.length);
  for (let index = 0; index < data.length; index++) {
    const block = blockOf(index);
    result[index] = ((data[index] ?? 0) - (offset?.data[block] ?? 0)) * (scale.data[block] ?? 0);
  }
  return result;
}

/** For each element of a tensor the number of its block, where every axis is cut into so many blocks of equal size. */
function blocks(shape: readonly number[], counts: readonly number[]): (index: number) => number {
  if (elementCount(counts) === 1) return () => 0;
  let [elements, all] = [1, 1];
  const axes = shape
    .map((size, axis) => ({ size, count: counts[axis] ?? 1 }))
    .reverse()
    .map(({ size, count }) => {
      const axis = { stride: elements, size, step: size / count, weight: all };
      elements *= size;
      all *= count;
      return axis;
    });
  return (index) => {
    let block = 0;
    for (const { stride, size, step, weight } of axes) {
      block += Math.floor((Math.floor(index / stride) % size) / step) * weight;
    }
    return block;
  };
}

/** Puts numbers where the mask is not 0, and zeros elsewhere. */
function spread(numbers: Numbers, mask: ArrayLike<number>): Numbers {
  const dense = new Float32Array(mask.length);
  for (let index = 0, next = 0; index < mask.length; index++) {
    if (mask[index] !== 0) dense[index] = numbers[next++] ?? 0;
  }
  return dense;
}

function rounded(numbers: Numbers, dtype: MilDType): Numbers {
  return dtype === 'fp16' ? fromFloat16(toFloat16(asFloats(numbers))) : numbers;
}

function asFloats(numbers: Numbers): Float32Array {
  return numbers instanceof Float32Array ? numbers : new Float32Array(numbers);
}

function toFloat16(floats: Float32Array): Uint8Array {
  return converted('f32', 'f16', new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength), 2);
}

function fromFloat16(bytes: Uint8Array): Float32Array {
  return new Float32Array(converted('f16', 'f32', bytes, 4).buffer);
}

function converted(
  from: 'f16' | 'f32',
  to: 'f16' | 'f32',
  source: Uint8Array,
  width: number,
): Uint8Array<ArrayBuffer> {
  const convert = blockConverter(from, to);
  if (!convert) throw new Error(`${from} does not become ${to}`);
  const target = new Uint8Array((source.length / (6 - width)) * width);
  convert(source, target);
  return target;
}

function fixedShape({ shape }: MilTensorType): number[] {
  return shape.map((size) => size ?? Number.NaN);
}
