import { expect, test } from 'vitest';
import { dataTypes, dtypeOf, onnx, toNumber } from '../../../src/formats/onnx/proto.ts';

test('every dtype has the code that onnx.proto gives it, and is found by it', () => {
  const { DataType } = onnx.TensorProto;
  expect(dataTypes).toEqual({
    f64: DataType.DOUBLE,
    f32: DataType.FLOAT,
    f16: DataType.FLOAT16,
    bf16: DataType.BFLOAT16,
    f8_e4m3: 17, // FLOAT8E4M3FN and FLOAT8E5M2 came with ONNX 1.14, after onnx-proto
    f8_e5m2: 19,
    i64: DataType.INT64,
    i32: DataType.INT32,
    i16: DataType.INT16,
    i8: DataType.INT8,
    u64: DataType.UINT64,
    u32: DataType.UINT32,
    u16: DataType.UINT16,
    u8: DataType.UINT8,
    bool: DataType.BOOL,
  });
  for (const [dtype, code] of Object.entries(dataTypes)) expect(dtypeOf(code)).toBe(dtype);
  expect(dtypeOf(DataType.STRING)).toBeUndefined();
  expect(dtypeOf(DataType.UNDEFINED)).toBeUndefined();
});

test('a 64-bit number of a decoded message is a number', () => {
  const { irVersion } = onnx.ModelProto.decode(onnx.ModelProto.encode({ irVersion: 10 }).finish());
  expect(toNumber(irVersion)).toBe(10);
  expect(toNumber(7)).toBe(7);
  expect(toNumber(undefined)).toBe(0);
});
