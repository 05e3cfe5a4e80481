import type { DType } from '../../../weights/dtype.ts';
import type { ValueInfoProto } from '../../onnx/proto.ts';
import {
  type DataFolders,
  type Kind,
  TranslatedModel,
  valueInfo,
} from '../../onnx/translated/translated-model.ts';
import type { MilDType } from '../mil/mil-dtype.ts';
import { type Elements, isFraction } from '../mil/mil-elements.ts';
import { immediateElements, type MilTensorType, tensorElements, tensorTypeOf } from '../mil/mil-program.ts';
import type { NamedValueType, Operation, Value, ValueType } from '../mil/mil-schema.ts';
import type { WeightFiles } from '../package/weight-blobs.ts';
import { type ConstantSource, decodeConstants, denseBytes, isDecoder } from './decode-constant.ts';

/**
 * An ML Program on its way to ONNX: collects nodes and tensors, and the ONNX name of each value. A constant becomes a tensor
 * when it is first read as a value; constants that only parametrise an operation do not.
 */
export class OnnxProgram extends TranslatedModel {
  readonly #weights: WeightFiles;
  readonly #origins = new Map<string, Operation>();
  readonly #types = new Map<string, MilTensorType>();
  /** ONNX names of computed values and of constants that were read. */
  readonly #names = new Map<string, string>();
  /** Elements of constants in weight files that are small enough to be parameters. */
  readonly #small: ReadonlyMap<Value, Elements>;

  constructor(path: string, weights: WeightFiles, small: ReadonlyMap<Value, Elements>, folders: DataFolders) {
    super(path, folders, 'It can still be inspected and compiled; run it on a Mac.');
    this.#weights = weights;
    this.#small = small;
  }

  /** Takes note of a value's type. Throws `UnsupportedModelError` for one that is no tensor. */
  declare({ name, type }: NamedValueType): void {
    const tensor = tensorTypeOf(type);
    if (!tensor) throw this.unsupported(`${name} is ${kindOfType(type)}, not a tensor`);
    this.#types.set(name, tensor);
  }

  /** Takes note of a `const` or `constexpr_…` operation. */
  constant(operation: Operation): void {
    for (const { name } of operation.outputs) this.#origins.set(name, operation);
  }

  /** Sets a value's ONNX name. */
  define(name: string, onnxName: string): void {
    this.#names.set(name, onnxName);
  }

  typeOf(name: string): MilTensorType {
    const type = this.#types.get(name);
    if (!type) throw new Error(`${name} has no type`);
    return type;
  }

  isConstant(name: string): boolean {
    return this.#origins.has(name);
  }

  isFraction(name: string): boolean {
    return isFraction(this.typeOf(name).dtype);
  }

  /** Returns a value's ONNX name; a constant becomes a tensor here. */
  nameOf(name: string): string {
    const known = this.#names.get(name);
    if (known !== undefined) return known;
    const origin = this.#origins.get(name);
    if (!origin) throw new Error(`${name} is not computed yet`);
    const value = origin.attributes.val;
    const made = value && !isDecoder(origin) ? this.literal(name, value) : this.#decode(name, origin);
    this.#names.set(name, made);
    return made;
  }

  /** The elements of a constant; `undefined` for a large one, and for a value that is computed. */
  elementsOf(name: string): Elements | undefined {
    const value = this.#origins.get(name)?.attributes.val;
    return value && this.elementsIn(value);
  }

  elementsIn(value: Value): Elements | undefined {
    return this.#small.get(value) ?? immediateElements(value);
  }

  /** Makes a value that stands in the program, or in a weight file, a tensor. */
  literal(name: string, value: Value): string {
    const type = tensorTypeOf(value.type);
    if (!type) throw this.unsupported(`the constant ${name} is not a tensor`);
    const kind = this.kindOf(name, type.dtype);
    const dims = this.#fixedShape(name, type);
    if (!value.blobFileValue) {
      return this.initializer(`${name}/${kind}`, kind, dims, immediateElements(value) ?? []);
    }
    const dtype = storedDTypes[type.dtype];
    if (!dtype) throw this.unsupported(`${type.dtype} as the type of the constant ${name}`);
    return this.stored(name, kind, dtype, dims, this.#weights.find(value.blobFileValue));
  }

  kindOf(name: string, dtype: MilDType): Kind {
    if (dtype === 'fp16' || dtype === 'fp32' || dtype === 'bf16') return 'f32';
    if (dtype === 'bool') return 'bool';
    if (dtype === 'fp64' || dtype === 'string') throw this.unsupported(`${dtype} as the type of ${name}`);
    return 'i64';
  }

  /** Declarations of the computed values. */
  values(): ValueInfoProto[] {
    return [...this.#names].flatMap(([name, onnxName]) => {
      const type = this.#types.get(name);
      if (!type || this.isConstant(name)) return [];
      return [valueInfo(onnxName, this.kindOf(name, type.dtype), type.shape)];
    });
  }

  /** A compressed weight is decoded when the data file is written. */
  #decode(name: string, operation: Operation): string {
    const { dtype } = this.typeOf(name);
    const dims = this.#fixedShape(name, this.typeOf(name));
    if (dtype !== 'fp16' && dtype !== 'fp32')
      throw this.unsupported(`${dtype} as the type of the weight ${name}`);
    const source: ConstantSource = { weights: this.#weights, operationOf: (each) => this.#origins.get(each) };
    const output = operation.outputs.findIndex((each) => each.name === name);
    return this.decoded(name, dtype === 'fp16' ? 'f16' : 'f32', dims, async () => {
      const constant = (await decodeConstants(operation, source))[output];
      if (!constant) throw new Error(`${operation.type} does not give ${name}`);
      return denseBytes(constant);
    });
  }

  #fixedShape(name: string, type: MilTensorType): number[] {
    if (!Number.isSafeInteger(tensorElements(type)))
      throw this.unsupported(`the constant ${name} has a free or impossible size`);
    return type.shape.map(Number);
  }
}

/** Element types that ONNX has itself: it reads weights of them from a weight file as they are. */
export const storedDTypes: { readonly [D in MilDType]?: DType } = {
  fp16: 'f16',
  fp32: 'f32',
  bf16: 'bf16',
  int8: 'i8',
  int16: 'i16',
  int32: 'i32',
  uint8: 'u8',
  uint16: 'u16',
  uint32: 'u32',
};

function kindOfType(type: ValueType | null): string {
  if (type?.stateType) return 'a state';
  if (type?.listType) return 'a list';
  if (type?.tupleType) return 'a tuple';
  return type?.dictionaryType ? 'a dictionary' : 'of a type that is not known';
}
