import onnxProto from 'onnx-proto';
import type { DType } from '../../weights/dtype.ts';

/**
 * The protobuf messages of ONNX. The package describes IR version 8; every field used here is in it, and enumerations
 * are plain numbers, so newer versions encode as well.
 */
export const { onnx } = onnxProto;

export type ModelProto = onnxProto.onnx.IModelProto;
export type GraphProto = onnxProto.onnx.IGraphProto;
export type NodeProto = onnxProto.onnx.INodeProto;
export type TensorProto = onnxProto.onnx.ITensorProto;
export type AttributeProto = onnxProto.onnx.IAttributeProto;
export type ValueInfoProto = onnxProto.onnx.IValueInfoProto;

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
