import type { DType } from '../../../weights/dtype.ts';
import type { ValueInfoProto } from '../../onnx/proto.ts';
import {
  type DataFolders,
  type Kind,
  TranslatedModel,
  valueInfo,
} from '../../onnx/translated/translated-model.ts';
import { isStored } from '../bytecode/stored-tensor.ts';
import { countOf, type Elements, elementsOf, inlineNumbers } from '../constants.ts';
import type { Element, Operation, TensorType, Value } from '../program.ts';
import { decodeConstant, isDecoder } from './decode-constant.ts';

/** The names of the values that a graph or a region sees. */
export type Scope = Map<Value, string>;

/** Most elements of a constant that an operation takes as parameters: more than two for each axis. */
const MOST_PARAMETERS = 64;

/** Most elements of all constants that stand in the program: many may be of the same bytes. Masks and times take a tenth. */
const MOST_INLINE = 1 << 21;

/**
 * A Core AI program on its way to ONNX: values get names, and a graph that is called often is written as often, its values
 * by other names. A constant becomes a tensor when it is first read as a value; those that only parametrise an operation do not.
 */
export class OnnxProgram extends TranslatedModel {
  readonly #types = new Map<string, TensorType>();
  /** The operations that give constants, stored or compressed. */
  readonly #constants = new Map<string, Operation>();
  readonly #origins = new Map<Value, Operation>();
  readonly #constantNames = new Map<Value, string>();
  /** Names in ONNX of computed values and of constants that were read. */
  readonly #names = new Map<string, string>();
  #inline = 0;

  constructor(path: string, folders: DataFolders) {
    super(
      path,
      folders,
      'It can still be inspected; run it with OS 27, or with Apple’s coreai-core on Linux.',
    );
  }

  /** Takes note of a value; gives its name. */
  declare(scope: Scope, value: Value, wanted: string): string {
    let name = wanted;
    while (this.#types.has(name)) name += `#${this.#types.size}`;
    this.#types.set(name, value.type);
    scope.set(value, name);
    return name;
  }

  /** Takes note of a constant: an operation that gives stored elements, or decodes them. Its tensor serves all its readers. */
  constant(scope: Scope, operation: Operation): void {
    const [value] = operation.results;
    if (!value) return;
    this.#origins.set(value, operation);
    const known = this.#constantNames.get(value);
    if (known !== undefined) {
      scope.set(value, known);
      return;
    }
    const elements = elementsOf(operation);
    const name = this.declare(
      scope,
      value,
      elements?.kind === 'resource' ? elements.tensor.name : 'constant',
    );
    this.#constants.set(name, operation);
    this.#constantNames.set(value, name);
  }

  /** Sets a value's name in ONNX. */
  define(name: string, onnxName: string): void {
    this.#names.set(name, onnxName);
  }

  typeOf(name: string): TensorType {
    const type = this.#types.get(name);
    if (!type) throw new Error(`${name} has no type`);
    return type;
  }

  isConstant(name: string): boolean {
    return this.#constants.has(name);
  }

  isFraction(name: string): boolean {
    return this.kindOf(this.typeOf(name).element) === 'f32';
  }

  /** A value's name in ONNX; a constant becomes a tensor here. */
  nameOf(name: string): string {
    const known = this.#names.get(name);
    if (known !== undefined) return known;
    const origin = this.#constants.get(name);
    if (!origin) throw new Error(`${name} is not computed yet`);
    const made = isDecoder(origin) ? this.#decoded(name, origin) : this.#stored(name, origin);
    this.#names.set(name, made);
    return made;
  }

  /** The few numbers of a constant that stands in the program; `undefined` for other values. */
  numbersOf(name: string): readonly number[] | undefined {
    const origin = this.#constants.get(name);
    const elements = origin && elementsOf(origin);
    const type = this.typeOf(name);
    if (elements?.kind !== 'tensor' || !(countOf(type) <= MOST_PARAMETERS)) return undefined;
    this.kindOf(type.element); // refuses what is not read
    return Array.from(inlineNumbers(type, elements), Number);
  }

  kindOf(element: Element): Kind {
    if (element === 'f16' || element === 'f32' || element === 'bf16') return 'f32';
    if (element === 'bool') return 'bool';
    if (/^[iu]\d/.test(element)) return 'i64';
    throw this.unsupported(`it computes with ${element}`);
  }

  /** Declarations of the computed values. */
  values(): ValueInfoProto[] {
    return [...this.#names].flatMap(([name, onnxName]) => {
      if (this.isConstant(name)) return [];
      const { element, shape } = this.typeOf(name);
      return [valueInfo(onnxName, this.kindOf(element), shape)];
    });
  }

  #stored(name: string, origin: Operation): string {
    const type = this.typeOf(name);
    const kind = this.kindOf(type.element);
    const elements = elementsOf(origin);
    if (!elements) throw this.unsupported(`the constant ${name} has no elements`);
    if (elements.kind === 'tensor') return this.#inlineConstant(name, kind, type, elements);
    const dims = this.#fixedShape(name, type);
    const dtype = storedDTypes[type.element];
    const { tensor } = elements;
    if (!dtype || !isStored(tensor))
      throw this.unsupported(`${type.element} as the type of the constant ${name}`);
    return this.stored(name, kind, dtype, dims, tensor);
  }

  /** A number that stands for many stays one: it is spread out where it is computed with. */
  #inlineConstant(
    name: string,
    kind: Kind,
    type: TensorType,
    elements: Extract<Elements, { kind: 'tensor' }>,
  ): string {
    const dims = this.#fixedShape(name, type);
    const count = countOf(type);
    if (elements.splat && count > MOST_PARAMETERS) {
      const one = inlineNumbers({ ...type, shape: [] }, elements);
      const scalar = this.initializer(`${name}/one`, kind, [], one);
      return this.write.node1('Expand', [scalar, this.write.int64s(dims)], `${name}/${kind}`);
    }
    this.#inline += count;
    if (this.#inline > MOST_INLINE)
      throw this.unsupported(`its constants have more than ${MOST_INLINE.toLocaleString('en')} numbers`);
    return this.initializer(`${name}/${kind}`, kind, dims, inlineNumbers(type, elements));
  }

  /** A compressed weight is decoded when the data file is written. */
  #decoded(name: string, operation: Operation): string {
    const { element } = this.typeOf(name);
    const dims = this.#fixedShape(name, this.typeOf(name));
    if (element !== 'f16' && element !== 'f32')
      throw this.unsupported(`${element} as the type of the weight ${name}`);
    return this.decoded(name, element, dims, () => decodeConstant(operation, this.#origins));
  }

  #fixedShape(name: string, type: TensorType): number[] {
    if (!Number.isSafeInteger(countOf(type)))
      throw this.unsupported(`the constant ${name} has a free or impossible size`);
    return type.shape.map(Number);
  }
}

/** Element types that ONNX has itself: it reads weights of them from the program's file as they are. */
export const storedDTypes: { readonly [E in Element]?: DType } = {
  f16: 'f16',
  f32: 'f32',
  bf16: 'bf16',
  i8: 'i8',
  i16: 'i16',
  i32: 'i32',
  i64: 'i64',
  u8: 'u8',
  u16: 'u16',
  u32: 'u32',
};
