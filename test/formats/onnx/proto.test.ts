import { onnx } from 'onnx-proto';
import protobuf from 'protobufjs';
import { expect, test } from 'vitest';
import { onnxProto } from '../../../src/formats/onnx/onnx-proto.ts';
import {
  AttributeType,
  dataTypes,
  decodeModel,
  dtypeOf,
  EXTERNAL,
  encodeModel,
  toNumber,
} from '../../../src/formats/onnx/proto.ts';

/** A message of onnx-proto, which is generated from ONNX's own files and not ours. */
interface TheirMessage {
  readonly prototype: Record<string, unknown>;
  encode(message: object): { finish(): Uint8Array };
  decode(bytes: Uint8Array): Record<string, unknown>;
}

const theirs = new Map(theirMessages(onnx, ''));
const ours = new Map(ourMessages(protobuf.parse(onnxProto).root));
const fields = [...ours.values()].flatMap((type) =>
  type.fieldsArray.map((field) => [type.fullName.slice(1), field.name, field] as const),
);

/** What a field may hold: that which some encodings would leave out, and that which takes several bytes. */
const samples: Readonly<Record<string, readonly unknown[]>> = {
  int32: [0, 300, -2],
  int64: [0, 2 ** 40 + 1, -2],
  uint64: [0, 2 ** 40 + 1],
  float: [0, -0, -1.5],
  double: [0, -0, 0.1],
  string: ['', 'naïve ✓'],
  bytes: [new Uint8Array(), Uint8Array.of(1, 2, 255)],
};

test('there are the messages and the fields that ONNX has, and no others', () => {
  expect([...ours.keys()].sort()).toEqual([...theirs.keys()].sort());
  for (const [name, { prototype }] of theirs) {
    const found = ours.get(name)?.fieldsArray.map((field) => field.name);
    const expected = Object.keys(prototype).filter((key) => typeof prototype[key] !== 'function');
    expect(found?.sort(), name).toEqual(expected.sort());
  }
});

test.each(fields)('%s.%s is written and read as ONNX has it', (message, name, field) => {
  const [our, their] = [ours.get(message), theirs.get(message)];
  if (!our || !their) throw new Error(`there is no ${message}`);
  const values = samples[field.type] ?? [{}];
  for (const value of field.repeated ? [values] : values) {
    const expected = their.encode({ [name]: value }).finish();
    expect(Buffer.from(our.encode({ [name]: value }).finish())).toEqual(Buffer.from(expected));
    expect(toJson(our.decode(expected), name)).toBe(toJson(their.decode(expected), name));
  }
});

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

test('the kinds of attributes and the place of data have the codes that onnx.proto gives them', () => {
  expect(onnx.AttributeProto.AttributeType).toMatchObject(AttributeType);
  expect(EXTERNAL).toBe(onnx.TensorProto.DataLocation.EXTERNAL);
});

test('a 64-bit number of a decoded message is a number', () => {
  const { irVersion } = decodeModel(encodeModel({ irVersion: 10 }));
  expect(toNumber(irVersion)).toBe(10);
  expect(toNumber(7)).toBe(7);
  expect(toNumber(undefined)).toBe(0);
});

function theirMessages(scope: object, prefix: string): [string, TheirMessage][] {
  return Object.entries(scope).flatMap(([name, value]) => {
    if (typeof value !== 'function' || !('encode' in value)) return [];
    // as: what encodes is a message; the package's types know no class that is common to them.
    const message = value as unknown as TheirMessage;
    return [[prefix + name, message], ...theirMessages(value, `${prefix}${name}.`)];
  });
}

function ourMessages(scope: protobuf.NamespaceBase): [string, protobuf.Type][] {
  return scope.nestedArray.flatMap((each) => {
    if (!(each instanceof protobuf.Type)) return [];
    return [[each.fullName.slice(1), each], ...ourMessages(each)];
  });
}

/** A field's value, with −0 to be told from 0. */
function toJson(message: object, name: string): string {
  const value: unknown = Reflect.get(message, name);
  return JSON.stringify(value, (_, each) => (Object.is(each, -0) ? '−0' : each)) ?? 'undefined';
}
