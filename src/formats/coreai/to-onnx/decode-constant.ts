import {
  floatBytes,
  lookUp,
  type Shaped,
  scaleAndShift,
  shiftAndScale,
} from '../../onnx/translated/decoded-numbers.ts';
import { elementCodes } from '../bytecode/codes.ts';
import { countOf, elementsOf, readElements } from '../constants.ts';
import type { Operation, TensorType, Value } from '../program.ts';

/** The operations that give constants, by their values. */
export type Constants = ReadonlyMap<Value, Operation>;

/** Compressed weights whose scales or palettes are compressed themselves. */
const DEEPEST = 3;

/** Whether an operation computes a weight from compressed data. */
export function isDecoder({ name }: Operation): boolean {
  return Object.hasOwn(decoders, name);
}

/**
 * The weight that an operation decodes, as little-endian bytes of the float16 or float32 numbers that it declares. Memory: the
 * weight, a few times. Throws `Error` for parameters that contradict each other, and what reading them throws.
 */
export async function decodeConstant(operation: Operation, constants: Constants): Promise<Uint8Array> {
  const { data } = await decoded(operation, constants, 0);
  return floatBytes(data, dtypeOf(operation.results[0]?.type));
}

async function decoded(operation: Operation, constants: Constants, depth: number): Promise<Shaped> {
  const type = operation.results[0]?.type;
  const decode = decoders[operation.name];
  if (!type || !decode || depth > DEEPEST) throw new Error(`${operation.name} is not decoded here`);
  const parameters: Shaped[] = [];
  for (const operand of operation.operands) parameters.push(await parameter(operand, constants, depth));
  const [stored] = operation.operands;
  const bits = stored ? elementCodes[stored.type.element].bits : 0;
  const data = decode(parameters, { count: countOf(type), dtype: dtypeOf(type), bits });
  if (data.length !== countOf(type)) throw new Error(`${operation.name} does not give what it declares`);
  return { shape: fixed(type), data };
}

async function parameter(value: Value, constants: Constants, depth: number): Promise<Shaped> {
  const origin = constants.get(value);
  if (!origin) throw new Error('a part of it is computed');
  const elements = elementsOf(origin);
  if (!elements) return decoded(origin, constants, depth + 1);
  return { shape: fixed(value.type), data: await readElements(value.type, elements) };
}

/** The dtype that weights are expanded to. */
function dtypeOf(type: TensorType | undefined): 'f16' | 'f32' {
  return type?.element === 'f16' ? 'f16' : 'f32';
}

/** What a weight is declared to be. */
interface Declared {
  readonly count: number;
  readonly dtype: 'f16' | 'f32';
  /** Bits of each element of what is decoded. */
  readonly bits: number;
}

/** Gives the elements of a weight, of which there are not to be more than declared. */
type Decoder = (parameters: readonly Shaped[], declared: Declared) => Float32Array;

/** The operations that compute a weight from compressed data. */
export const decoders: Readonly<Record<string, Decoder>> = {
  /** indices, palettes [groups of each axis…, entries, V], the axis of vectors. */
  'primitive.lut_to_dense_v1'([indices, lut, axis], { count }) {
    if (!indices || !lut) throw new Error('it has no palette');
    checkBlocks(indices, lut.shape.slice(0, -2));
    return lookUp(indices, lut, axis?.data[0] ?? -1, count);
  },

  /** scale · (data − offset) + shift: of whole bytes Apple's runtime rounds scale · data and scale · offset before. */
  'primitive.blockwise_shift_scale_v2'([data, scale, offset, shift], { dtype, bits }) {
    if (!data || !scale) throw new Error('it has no scales');
    checkBlocks(data, scale.shape);
    if (offset && `${offset.shape}` !== `${scale.shape}`) throw new Error('its offsets are not one a scale');
    if (shift?.data.some((each) => each !== 0)) throw new Error('it shifts what it scaled');
    return offset && bits >= 8
      ? scaleAndShift(data, scale, offset, dtype)
      : shiftAndScale(data, scale, offset);
  },
};

/** Each axis is cut into equal blocks. */
function checkBlocks({ shape }: Shaped, counts: readonly number[]): void {
  const fits =
    shape.length === counts.length && counts.every((count, axis) => (shape[axis] ?? 0) % count === 0);
  if (!fits) throw new Error(`[${counts}] blocks do not divide [${shape}]`);
}

function fixed({ shape }: TensorType): number[] {
  return shape.map((size) => size ?? Number.NaN);
}
