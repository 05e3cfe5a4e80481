import { dtypeOf, type TensorProto } from './proto.ts';

/** The elements of a fraction tensor whose numbers are in the model itself, as little-endian bytes that begin where typed arrays can. */
export function initializerBytes({ name, dataType, rawData, floatData, int32Data }: TensorProto): Uint8Array {
  if (rawData?.length) return rawData.byteOffset % 8 === 0 ? rawData : rawData.slice();
  const dtype = dtypeOf(dataType ?? 0);
  if (dtype === 'f32') return new Uint8Array(Float32Array.from(floatData ?? []).buffer);
  // float16 numbers stand in the model as 16 bits each in an int32 (onnx.proto, TensorProto.int32_data).
  if (dtype === 'f16') return new Uint8Array(Uint16Array.from(int32Data ?? []).buffer);
  throw new Error(`${name} is not a tensor of fractions`);
}
