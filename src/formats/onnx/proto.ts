import protobuf from 'protobufjs';
import type { DType } from '../../weights/dtype.ts';
import { onnxProto } from './onnx-proto.ts';

/**
 * The messages of `onnx-proto.ts`, field for field. A decoded message has all of its fields: numbers that were left out
 * are 0, texts '', lists and bytes empty, messages `null`. Messages that sdconvert never looks into are `object`.
 */
export interface ModelProto {
  irVersion?: Int64 | null;
  producerName?: string | null;
  producerVersion?: string | null;
  domain?: string | null;
  modelVersion?: Int64 | null;
  docString?: string | null;
  graph?: GraphProto | null;
  opsetImport?: { domain?: string | null; version?: Int64 | null }[] | null;
  metadataProps?: StringStringEntryProto[] | null;
  trainingInfo?: object[] | null;
  functions?: object[] | null;
}

export interface StringStringEntryProto {
  key?: string | null;
  value?: string | null;
}

export interface GraphProto {
  node?: NodeProto[] | null;
  name?: string | null;
  initializer?: TensorProto[] | null;
  docString?: string | null;
  input?: ValueInfoProto[] | null;
  output?: ValueInfoProto[] | null;
  valueInfo?: ValueInfoProto[] | null;
  quantizationAnnotation?: object[] | null;
  sparseInitializer?: object[] | null;
}

export interface NodeProto {
  input?: string[] | null;
  output?: string[] | null;
  name?: string | null;
  opType?: string | null;
  attribute?: AttributeProto[] | null;
  docString?: string | null;
  domain?: string | null;
}

export interface AttributeProto {
  name?: string | null;
  /** One of `AttributeType`: which of the fields holds the value. */
  type?: number | null;
  f?: number | null;
  i?: Int64 | null;
  s?: Uint8Array | null;
  t?: TensorProto | null;
  g?: GraphProto | null;
  sparseTensor?: object | null;
  tp?: TypeProto | null;
  floats?: number[] | null;
  ints?: Int64[] | null;
  strings?: Uint8Array[] | null;
  tensors?: TensorProto[] | null;
  graphs?: GraphProto[] | null;
  sparseTensors?: object[] | null;
  typeProtos?: TypeProto[] | null;
  docString?: string | null;
  refAttrName?: string | null;
}

export interface TensorProto {
  dims?: Int64[] | null;
  /** One of `dataTypes`' codes, or another. */
  dataType?: number | null;
  segment?: { begin?: Int64 | null; end?: Int64 | null } | null;
  floatData?: number[] | null;
  int32Data?: number[] | null;
  stringData?: Uint8Array[] | null;
  int64Data?: Int64[] | null;
  name?: string | null;
  rawData?: Uint8Array | null;
  doubleData?: number[] | null;
  uint64Data?: Int64[] | null;
  docString?: string | null;
  externalData?: StringStringEntryProto[] | null;
  /** `EXTERNAL` where `externalData` says where the elements are. */
  dataLocation?: number | null;
}

export interface ValueInfoProto {
  name?: string | null;
  type?: TypeProto | null;
  docString?: string | null;
}

/** The type of a value; at most one of its kinds is there. */
export interface TypeProto {
  tensorType?: { elemType?: number | null; shape?: TensorShapeProto | null } | null;
  sequenceType?: object | null;
  mapType?: object | null;
  sparseTensorType?: object | null;
  optionalType?: object | null;
  denotation?: string | null;
}

export interface TensorShapeProto {
  dim?: { dimValue?: Int64 | null; dimParam?: string | null; denotation?: string | null }[] | null;
}

/** A 64-bit integer: a number where it is written, where it is read what `toNumber` takes. */
export type Int64 = number | { toNumber(): number };

const { root } = protobuf.parse(onnxProto);
const modelMessage = root.lookupType('ModelProto');
const graphMessage = root.lookupType('GraphProto');
const tensorMessage = root.lookupType('TensorProto');

/** The bytes of a `.onnx` file: fields in the order of their numbers. */
export function encodeModel(model: ModelProto): Uint8Array {
  // as: protobufjs takes any object with string keys; an interface does not say that it is one.
  return modelMessage.encode(model as Record<string, unknown>).finish();
}

/** The bytes of a graph within a model. */
export function encodeGraph(graph: GraphProto): Uint8Array {
  return graphMessage.encode(graph as Record<string, unknown>).finish(); // as: see `encodeModel`
}

/** The bytes of a tensor within a graph. */
export function encodeTensor(tensor: TensorProto): Uint8Array {
  return tensorMessage.encode(tensor as Record<string, unknown>).finish(); // as: see `encodeModel`
}

/** The content of a `.onnx` file. Throws `Error` when the bytes are not one. */
export function decodeModel(bytes: Uint8Array): ModelProto {
  // as: its fields are those of the interface; proto.test.ts compares them with ONNX's.
  return modelMessage.decode(bytes) as ModelProto;
}

/** AttributeProto.AttributeType (onnx.proto), of the kinds that are written. */
export const AttributeType = { FLOAT: 1, INT: 2, STRING: 3, INTS: 7 } as const;

/** TensorProto.DataLocation.EXTERNAL: the elements are in a file of their own. */
export const EXTERNAL = 1;

/** Written files declare IR version 10 and opset 21, which onnxruntime reads since 1.20. */
export const IR_VERSION = 10;
export const OPSET = 21;

/** TensorProto.DataType of each dtype (onnx.proto). */
export const dataTypes: { readonly [K in DType]: number } = {
  f32: 1,
  u8: 2,
  i8: 3,
  u16: 4,
  i16: 5,
  i32: 6,
  i64: 7,
  bool: 9,
  f16: 10,
  f64: 11,
  u32: 12,
  u64: 13,
  bf16: 16,
  f8_e4m3: 17,
  f8_e5m2: 19,
};

/** The dtype of a TensorProto.DataType; `undefined` for those that sdconvert does not know (strings, 4 bits, …). */
export function dtypeOf(dataType: number): DType | undefined {
  for (const [dtype, code] of Object.entries(dataTypes)) {
    // Object.entries gives strings; the table's keys are dtypes.
    if (code === dataType) return dtype as DType;
  }
  return undefined;
}

/** An int64 of a decoded message as a number (protobufjs gives `Long` where it is installed). */
export function toNumber(value: number | { toNumber(): number } | null | undefined): number {
  return typeof value === 'object' && value !== null ? value.toNumber() : (value ?? 0);
}
