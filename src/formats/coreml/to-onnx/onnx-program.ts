import { join, relative, resolve, sep } from 'node:path';
import { FileFormatError, SdConvertError, UnsupportedModelError } from '../../../errors.ts';
import { type DType, elementCount } from '../../../weights/dtype.ts';
import type { TensorStream } from '../../../weights/tensor-stream.ts';
import { externalTensor, modelProto } from '../../onnx/build-model.ts';
import { layOutTensors, placements } from '../../onnx/external-data.ts';
import { OnnxWriter } from '../../onnx/onnx-writer.ts';
import { dataTypes, type TensorProto, type ValueInfoProto } from '../../onnx/proto.ts';
import type { MilDType } from '../mil/mil-dtype.ts';
import type { Elements } from '../mil/mil-elements.ts';
import { immediateElements, type MilTensorType, tensorElements, tensorTypeOf } from '../mil/mil-program.ts';
import type { NamedValueType, Operation, Value, ValueType } from '../mil/mil-schema.ts';
import type { WeightFiles } from '../package/weight-blobs.ts';
import { type ConstantSource, decodeConstants, denseBytes, isDecoder } from './decode-constant.ts';

/** ONNX dtypes of computed values: float32 for fractions, int64 for all whole numbers. */
export type Kind = 'f32' | 'i64' | 'bool';

/** Folders of an ONNX model's data, and of its decoded part. */
export interface DataFolders {
  readonly dataFolder: string;
  readonly decodedFolder: string;
}

/**
 * An ML Program on its way to ONNX: collects nodes and tensors, and the ONNX name of each value. A constant becomes a tensor
 * when it is first read as a value; constants that only parametrise an operation do not.
 */
export class OnnxProgram {
  readonly write = new OnnxWriter((name) => name);
  readonly path: string;
  readonly #weights: WeightFiles;
  readonly #origins = new Map<string, Operation>();
  readonly #types = new Map<string, MilTensorType>();
  /** ONNX names of computed values and of constants that were read. */
  readonly #names = new Map<string, string>();
  /** Elements of constants in weight files that are small enough to be parameters. */
  readonly #small: ReadonlyMap<Value, Elements>;
  readonly #folders: DataFolders;
  readonly #inPlace: TensorProto[] = [];
  readonly #decoded: (TensorStream & { readonly dtype: DType; readonly dims: readonly number[] })[] = [];

  constructor(path: string, weights: WeightFiles, small: ReadonlyMap<Value, Elements>, folders: DataFolders) {
    this.path = path;
    this.#weights = weights;
    this.#small = small;
    this.#folders = folders;
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
    const inside = `${name}/${kind}`;
    if (!value.blobFileValue) return this.#initializer(inside, kind, dims, immediateElements(value) ?? []);
    const stored = storedDTypes[type.dtype];
    if (!stored) throw this.unsupported(`${type.dtype} as the type of the constant ${name}`);
    const { file, offset, byteLength } = this.#weights.find(value.blobFileValue);
    const raw = stored === kind ? inside : `${name}/stored`;
    const place = { location: this.#locate(file.name), offset, length: byteLength };
    this.#inPlace.push(externalTensor({ name: raw, dtype: stored, dims }, place));
    return this.#asKind(kind, raw, stored, inside);
  }

  /** The name of a float32 tensor [] of a number. */
  scalar(value: number): string {
    const name = `float32 ${value}`;
    if (!this.#names.has(name)) this.#names.set(name, this.#initializer(name, 'f32', [], [value]));
    return name;
  }

  kindOf(name: string, dtype: MilDType): Kind {
    if (dtype === 'fp16' || dtype === 'fp32' || dtype === 'bf16') return 'f32';
    if (dtype === 'bool') return 'bool';
    if (dtype === 'fp64' || dtype === 'string') throw this.unsupported(`${dtype} as the type of ${name}`);
    return 'i64';
  }

  unsupported(what: string, details: Readonly<Record<string, string>> = {}): UnsupportedModelError {
    return new UnsupportedModelError({
      problem: `${this.path} cannot be run on this machine: ${what}.`,
      details,
      advice: 'It can still be inspected and compiled; run it on a Mac.',
    });
  }

  /** The model; its weights lie where they are, but for those in `dataFiles`, which must be written first. */
  finish(inputs: readonly ValueInfoProto[], outputs: readonly ValueInfoProto[]) {
    const file = this.#locate(join(this.#folders.decodedFolder, 'weights'));
    const dataFiles = layOutTensors(this.#decoded, file);
    const places = placements(dataFiles);
    const decoded = this.#decoded.map((tensor) => {
      const place = places.get(tensor.name);
      if (!place) throw new Error(`${tensor.name} has no place`);
      return externalTensor(tensor, place);
    });
    const initializer = [...this.write.initializers, ...this.#inPlace, ...decoded];
    const graph = {
      name: 'main',
      node: this.write.nodes,
      initializer,
      input: [...inputs],
      output: [...outputs],
      valueInfo: this.#valueInfos(new Set([...inputs, ...outputs].map(({ name }) => name ?? ''))),
    };
    return { proto: modelProto(graph, {}), dataFiles };
  }

  /** Declares the computed values, but for those of these names. */
  #valueInfos(declared: ReadonlySet<string>): ValueInfoProto[] {
    return [...this.#names].flatMap(([name, onnxName]) => {
      const type = this.#types.get(name);
      if (!type || this.isConstant(name) || declared.has(onnxName)) return [];
      const dim = type.shape.map((size) => (size === undefined ? {} : { dimValue: size }));
      const elemType = dataTypes[this.kindOf(name, type.dtype)];
      return [{ name: onnxName, type: { tensorType: { elemType, shape: { dim } } } }];
    });
  }

  /** A path as ONNX writes it. */
  #locate(path: string): string {
    return relative(this.#folders.dataFolder, resolve(path)).split(sep).join('/');
  }

  /** A compressed weight is decoded when the data file is written. */
  #decode(name: string, operation: Operation): string {
    const { dtype } = this.typeOf(name);
    const dims = this.#fixedShape(name, this.typeOf(name));
    if (dtype !== 'fp16' && dtype !== 'fp32')
      throw this.unsupported(`${dtype} as the type of the weight ${name}`);
    const source: ConstantSource = { weights: this.#weights, operationOf: (each) => this.#origins.get(each) };
    const output = operation.outputs.findIndex((each) => each.name === name);
    const { path } = this;
    async function* stream() {
      const constants = await decodeConstants(operation, source).catch((error: unknown) => {
        throw error instanceof SdConvertError ? error : undecodable(path, name, error);
      });
      const constant = constants[output];
      if (constant) yield denseBytes(constant);
    }
    const stored = dtype === 'fp16' ? 'f16' : 'f32';
    const raw = stored === 'f32' ? `${name}/f32` : `${name}/stored`;
    const byteLength = elementCount(dims) * (stored === 'f16' ? 2 : 4);
    this.#decoded.push({ name: raw, dtype: stored, dims, byteLength, stream });
    return this.#asKind('f32', raw, stored, `${name}/f32`);
  }

  #fixedShape(name: string, type: MilTensorType): number[] {
    if (!Number.isSafeInteger(tensorElements(type)))
      throw this.unsupported(`the constant ${name} has a free or impossible size`);
    return type.shape.map(Number);
  }

  #asKind(kind: Kind, raw: string, stored: DType, name: string): string {
    return stored === kind ? raw : this.write.node1('Cast', [raw], name, { to: dataTypes[kind] });
  }

  #initializer(name: string, kind: Kind, dims: readonly number[], elements: Elements): string {
    const rawData = bytesOf(arrays[kind](elements.map(Number)));
    this.write.initializers.push({ name, dims: [...dims], dataType: dataTypes[kind], rawData });
    return name;
  }
}

/** Element types that ONNX reads from a weight file as they are. */
const storedDTypes: { readonly [D in MilDType]?: DType } = {
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

const arrays: { readonly [K in Kind]: (numbers: readonly number[]) => ArrayBufferView } = {
  f32: (numbers) => Float32Array.from(numbers),
  i64: (numbers) => BigInt64Array.from(numbers, BigInt),
  bool: (numbers) => Uint8Array.from(numbers),
};

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function kindOfType(type: ValueType | null): string {
  if (type?.stateType) return 'a state';
  if (type?.listType) return 'a list';
  if (type?.tupleType) return 'a tuple';
  return type?.dictionaryType ? 'a dictionary' : 'of a type that is not known';
}

function undecodable(path: string, name: string, cause: unknown): FileFormatError {
  return new FileFormatError(
    {
      problem: `${path} is not a valid ML Program: a compressed weight contradicts itself.`,
      details: { weight: name, found: cause instanceof Error ? cause.message : String(cause) },
      advice: 'It is damaged, or was written by a faulty tool: get it again, or convert it again.',
    },
    { cause },
  );
}
