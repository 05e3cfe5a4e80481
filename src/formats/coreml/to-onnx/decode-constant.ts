import { elementCount } from '../../../weights/dtype.ts';
import {
  floatBytes,
  fromFloat16,
  LONGEST_VECTOR,
  lookUp,
  type Numbers,
  type Shaped,
  shiftAndScale,
  storedNumbers,
  unpackBits,
} from '../../onnx/translated/decoded-numbers.ts';
import type { MilDType } from '../mil/mil-dtype.ts';
import { immediateElements, type MilTensorType, tensorTypeOf } from '../mil/mil-program.ts';
import type { Operation, Value } from '../mil/mil-schema.ts';
import type { WeightFiles } from '../package/weight-blobs.ts';

/**
 * Compressed weights as Core ML defines them: the `constexpr_…` operations, which are computed once, before a model runs
 * (coremltools, converters/mil/mil/ops/defs/iOS16/constexpr_ops.py and iOS18/compression.py).
 */

/** A constant in memory, its elements in row-major order as numbers. */
export interface DenseConstant extends Shaped {
  readonly dtype: MilDType;
}

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
    if (!declared || result?.length !== elementCount(fixedShape(declared))) {
      throw new Error(`${operation.type} does not give what ${name} declares`);
    }
    return { dtype: declared.dtype, shape: fixedShape(declared), data: rounded(result, declared.dtype) };
  });
}

/** A constant's elements as little-endian bytes of its dtype, float16 or float32. */
export function denseBytes({ dtype, data }: DenseConstant): Uint8Array {
  return floatBytes(data, dtype === 'fp16' ? 'f16' : 'f32');
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
  return { dtype, shape, data: storedNumbers(elementOf(dtype), bytes, elementCount(shape)) };
}

/** `fp16` is `f16`, `uint4` is `u4`. */
function elementOf(dtype: MilDType): string {
  return dtype.replace('fp', 'f').replace('nt', '').replace('ui', 'u');
}

type Parameter = (name: string) => DenseConstant;

/** Gives what an operation computes of its parameters, none of it larger than `most` elements. */
type Decoder = (of: Parameter, given: ReadonlySet<string>, most: number) => readonly Numbers[];

const decoders: Readonly<Record<string, Decoder>> = {
  constexpr_lut_to_dense(of, given, most) {
    const [indices, lut] = [of('indices'), of('lut')];
    if (!given.has('shape')) return [lookUp(indices, lut, vectorAxis(of, given), most)];
    // Until iOS 17 the indices are bytes into which as many bits as the palette needs are packed.
    const count = elementCount(Array.from(of('shape').data));
    const packed = unpackBits(indices.data, Math.log2(lut.data.length), count);
    const found = new Float32Array(count);
    for (let at = 0; at < count; at++) found[at] = lut.data[packed[at] ?? 0] ?? 0;
    return [found];
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
    return [result];
  },

  constexpr_blockwise_shift_scale(of, given) {
    const data = of('data');
    return [shiftAndScale(data, of('scale'), given.has('offset') ? of('offset') : undefined)];
  },

  constexpr_sparse_to_dense(of, given) {
    const count = given.has('shape') ? elementCount(Array.from(of('shape').data)) : undefined;
    const { data } = of('mask');
    const mask = count === undefined ? data : unpackBits(data, 1, count);
    return [spread(of('nonzero_data').data, mask)];
  },

  constexpr_cast: (of) => [of('source_val').data],

  constexpr_lut_to_sparse(of, given, most) {
    const mask = of('indices_mask');
    const indices = { ...mask, data: spread(of('indices_nonzero_data').data, mask.data) };
    const axis = vectorAxis(of, given);
    const dense = lookUp(indices, of('lut'), axis, mask.data.length * LONGEST_VECTOR);
    const whole = lookUp(mask, repeated([0, 1], of('lut')), axis, most);
    return [whole, dense.filter((_, index) => whole[index] !== 0)];
  },

  constexpr_sparse_blockwise_shift_scale(of, given) {
    const mask = of('data_mask');
    const data = { ...mask, data: spread(of('nonzero_data').data, mask.data) };
    const dense = shiftAndScale(data, of('scale'), given.has('offset') ? of('offset') : undefined);
    return [mask.data, dense.filter((_, index) => mask.data[index] !== 0)];
  },
};

/** The axis on which the numbers of a vector lie behind each other; −1 is the last. */
function vectorAxis(of: Parameter, given: ReadonlySet<string>): number {
  return (given.has('vector_axis') ? of('vector_axis').data[0] : undefined) ?? -1;
}

/** A palette of scalars as one of vectors that each repeat a number, without groups, as long as those of `like`. */
function repeated(numbers: readonly number[], like: DenseConstant): DenseConstant {
  const length = like.shape.at(-1) ?? 1;
  const data = Float32Array.from(numbers.flatMap((number) => Array(length).fill(number)));
  return { dtype: 'uint1', shape: [...like.shape.slice(0, -2).fill(1), numbers.length, length], data };
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
  return dtype === 'fp16' ? fromFloat16(floatBytes(numbers, 'f16')) : numbers;
}

function fixedShape({ shape }: MilTensorType): number[] {
  return shape.map((size) => size ?? Number.NaN);
}
