import { sameShape } from '../../../graph/shape.ts';
import { float16Bits } from '../../../weights/convert-dtype.ts';
import { elementCount } from '../../../weights/dtype.ts';
import { memoryStream, type TensorStream } from '../../../weights/tensor-stream.ts';
import type { Attribute, Element, Operation, Region, TensorType, Value } from '../program.ts';

/** A type whose sizes are numbers: those of all programs that are written here. */
export interface FixedType extends TensorType {
  readonly shape: readonly number[];
}

/** A value of a fixed type. */
export interface FixedValue extends Value {
  readonly type: FixedType;
}

export function tensorType(element: Element, shape: readonly number[]): FixedType {
  return { kind: 'tensor', element, shape };
}

/** The most bytes of a constant that stands in the program itself, as Apple's writer has it. */
const MOST_INLINE = 256;

/** The parts of an operation that not every one has. */
interface Parts {
  readonly properties?: readonly Attribute[];
  readonly regions?: readonly Region[];
}

/** Computes the value of a composite operation from its operands by other operations. */
export type Decomposition = (write: OperationWriter, operands: readonly FixedValue[]) => FixedValue;

/** Records operations in order. Small constants are recorded where they are first used, and equal ones once. */
export class OperationWriter {
  readonly operations: Operation[] = [];
  readonly #constants = new Map<string, FixedValue>();

  /** Records an operation with one result. */
  operation(
    name: string,
    operands: readonly Value[],
    type: FixedType,
    { properties = [], regions = [] }: Parts = {},
  ): FixedValue {
    const result = { type };
    this.operations.push({ name, operands, results: [result], properties, regions });
    return result;
  }

  /** Records a composite operation, with its decomposition for readers that do not know it. */
  composite(
    name: string,
    operands: readonly FixedValue[],
    type: FixedType,
    decomposition: Decomposition,
  ): FixedValue {
    return this.operation(name, operands, type, { regions: [regionOf(operands, decomposition)] });
  }

  /** A constant whose bytes stream when the program is written. */
  stored(type: FixedType, tensor: TensorStream): FixedValue {
    return this.operation('primitive.constant_v1', [], type, { properties: [{ kind: 'resource', tensor }] });
  }

  /** A constant of known numbers; `name` is its name in the file where it is large. */
  numbers(type: FixedType, numbers: ArrayLike<number>, name = 'constant'): FixedValue {
    const bytes = bytesOf(type.element, numbers);
    if (bytes.length > MOST_INLINE) return this.stored(type, memoryStream(name, bytes));
    return this.#inline(type, bytes, false);
  }

  /** A constant of one number everywhere. */
  filled(type: FixedType, number: number): FixedValue {
    return this.#inline(type, bytesOf(type.element, [number]), elementCount(type.shape) > 1);
  }

  /** Sizes, counts or positions: a list of whole numbers without a sign. */
  u32s(...numbers: readonly number[]): FixedValue {
    return this.numbers(tensorType('u32', [numbers.length]), numbers);
  }

  u32(number: number): FixedValue {
    return this.filled(tensorType('u32', []), number);
  }

  i32s(...numbers: readonly number[]): FixedValue {
    return this.numbers(tensorType('i32', [numbers.length]), numbers);
  }

  i32(number: number): FixedValue {
    return this.filled(tensorType('i32', []), number);
  }

  /** The elements of a value in another shape. */
  reshape(x: FixedValue, shape: readonly number[]): FixedValue {
    const { element, shape: from } = x.type;
    if (sameShape(from, shape)) return x;
    return this.operation('primitive.reshape_v2', [x, this.i32s(...shape)], tensorType(element, shape));
  }

  transpose(x: FixedValue, perm: readonly number[]): FixedValue {
    const type = tensorType(
      x.type.element,
      perm.map((axis) => x.type.shape[axis] ?? 0),
    );
    return this.operation('primitive.transpose_v1', [x, this.u32s(...perm)], type);
  }

  cast(x: FixedValue, element: Element): FixedValue {
    if (x.type.element === element) return x;
    return this.operation('primitive.cast_v1', [x], tensorType(element, x.type.shape));
  }

  #inline(type: FixedType, bytes: Uint8Array, splat: boolean): FixedValue {
    const key = `${type.element} [${type.shape}] ${splat} ${bytes}`;
    const known = this.#constants.get(key);
    if (known) return known;
    const properties: Attribute[] = [{ kind: 'tensor', bytes, splat }];
    const value = this.operation('primitive.constant_v1', [], type, { properties });
    this.#constants.set(key, value);
    return value;
  }
}

/** A region that computes one value. */
function regionOf(operands: readonly FixedValue[], decomposition: Decomposition): Region {
  const given = operands.map(({ type }) => ({ type }));
  const write = new OperationWriter();
  const result = decomposition(write, given);
  const end = { name: 'dataflow.yield_v1', operands: [result], results: [], properties: [], regions: [] };
  return { arguments: given, operations: [...write.operations, end] };
}

function bytesOf(element: Element, numbers: ArrayLike<number>): Uint8Array {
  return new Uint8Array(arrayOf(element, numbers).buffer);
}

function arrayOf(element: Element, numbers: ArrayLike<number>) {
  switch (element) {
    case 'f32':
      return Float32Array.from(numbers);
    case 'f16':
      return Uint16Array.from(numbers, float16Bits);
    case 'i32':
      return Int32Array.from(numbers);
    case 'u32':
      return Uint32Array.from(numbers);
    case 'i16':
      return Int16Array.from(numbers);
    // One a byte, also of elements that are smaller.
    case 'i8':
    case 'i4':
    case 'u8':
    case 'u4':
      return Uint8Array.from(numbers);
    default:
      throw new Error(`constants of ${element} are not written`);
  }
}
