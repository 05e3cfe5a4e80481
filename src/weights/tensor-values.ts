import { RequestError } from '../errors.ts';
import { float8E4m3Value, float8E5m2Value, float16Bits, float16Value } from './convert-dtype.ts';
import { type DType, isFloat } from './dtype.ts';
import type { TensorData } from './tensor-data.ts';

/** A tensor's elements as numbers, exactly (64-bit integers: up to 2⁵³); not a copy where its array holds numbers already. */
export function numbersOf({ dtype, data }: TensorData): ArrayLike<number> {
  switch (dtype) {
    case 'f16':
      return Float32Array.from(data, float16Value);
    case 'bf16':
      return new Float32Array(Uint32Array.from(data, (bits) => bits << 16).buffer);
    case 'f8_e4m3':
      return Float32Array.from(data, float8E4m3Value);
    case 'f8_e5m2':
      return Float32Array.from(data, float8E5m2Value);
    case 'i64':
    case 'u64':
      return Float64Array.from(data, Number);
    default:
      return data;
  }
}

/**
 * A tensor in another dtype: to floats rounded to the nearest even, to integers exactly. Throws `RequestError`, naming
 * the tensor, when `to` cannot hold one of its numbers.
 */
export function convertTensor(name: string, tensor: TensorData, to: DType): TensorData {
  if (tensor.dtype === to) return tensor;
  const numbers = numbersOf(tensor);
  const data = arrayMakers[to]?.(numbers);
  // as: arrayMakers pairs each dtype with the array that TensorData pairs it with, which the compiler does not follow.
  const converted = { dtype: to, shape: tensor.shape, data } as TensorData;
  const lost = data && !isFloat(to) ? firstDifference(numbers, numbersOf(converted)) : undefined;
  if (data && lost === undefined) return converted;
  throw new RequestError({
    problem: `${name} cannot be converted to what the model takes.`,
    details: {
      expected: to,
      found: lost === undefined ? tensor.dtype : `${tensor.dtype} with the value ${lost}`,
    },
  });
}

const arrayMakers: { readonly [K in DType]?: (numbers: ArrayLike<number>) => TensorData<K>['data'] } = {
  f64: (numbers) => Float64Array.from(numbers),
  f32: (numbers) => Float32Array.from(numbers),
  f16: (numbers) => Uint16Array.from(numbers, float16Bits),
  i64: (numbers) =>
    BigInt64Array.from(numbers, (value) => (Number.isFinite(value) ? BigInt(Math.trunc(value)) : 0n)),
  i32: (numbers) => Int32Array.from(numbers),
  i8: (numbers) => Int8Array.from(numbers),
  u8: (numbers) => Uint8Array.from(numbers),
  bool: (numbers) => Uint8Array.from(numbers, (value) => (value === 0 ? 0 : 1)),
};

function firstDifference(a: ArrayLike<number>, b: ArrayLike<number>): number | undefined {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i];
  return undefined;
}

/** Tensors beside each other along their last dimension: […,C] and […,D], of one shape otherwise, give […,C+D] in float32. */
export function besideEachOther(first: TensorData, second: TensorData): TensorData<'f32'> {
  const [own = 1, other = 1] = [first.shape.at(-1), second.shape.at(-1)];
  const rows = first.data.length / own;
  const [left, right] = [Float32Array.from(numbersOf(first)), Float32Array.from(numbersOf(second))];
  const data = new Float32Array(rows * (own + other));
  for (let row = 0; row < rows; row++) {
    data.set(left.subarray(row * own, (row + 1) * own), row * (own + other));
    data.set(right.subarray(row * other, (row + 1) * other), row * (own + other) + own);
  }
  return { dtype: 'f32', shape: [...first.shape.slice(0, -1), own + other], data };
}
