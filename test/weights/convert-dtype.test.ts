import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { BlockConverter } from '../../src/weights/convert-dtype.ts';
import { blockConverter, float16Bits, float16Value } from '../../src/weights/convert-dtype.ts';
import type { DType } from '../../src/weights/dtype.ts';
import { openSafetensors } from '../../src/weights/safetensors-file.ts';
import { readTensor } from '../../src/weights/tensor-data.ts';

// The oracle for float16 is the engine's own: DataView.getFloat16 and Float16Array follow IEEE 754 binary16.

const everyCode = Uint16Array.from({ length: 65536 }, (_, code) => code);

/** Every float16, every midpoint between two neighbours, and the float32s on both sides of each: all rounding cases. */
const roundingCases = (() => {
  const values: number[] = [Number.NaN, -Number.NaN, 1e-45, -1e-45, 3e38, -3e38, Infinity, -Infinity];
  for (let code = 0; code < 0x7c00; code++) {
    const value = oracleValue(code);
    const middle = code === 0x7bff ? 65520 : (value + oracleValue(code + 1)) / 2;
    for (const x of [value, middle, nextFloat32(middle, 1), nextFloat32(middle, -1)]) values.push(x, -x);
  }
  return Float32Array.from(values);
})();

function oracleValue(code: number): number {
  const view = new DataView(new ArrayBuffer(2));
  view.setUint16(0, code);
  return view.getFloat16(0);
}

function nextFloat32(value: number, step: 1 | -1): number {
  const float = Float32Array.of(value);
  const bits = new Uint32Array(float.buffer);
  bits[0] = (bits[0] ?? 0) + step;
  return float[0] ?? 0;
}

function convert(from: DType, to: DType, source: ArrayBufferView, converterOf = blockConverter): ArrayBuffer {
  const widths: Partial<Record<DType, number>> = { f64: 8, f32: 4, f16: 2, bf16: 2, f8_e4m3: 1, f8_e5m2: 1 };
  const elements = source.byteLength / (widths[from] ?? 1);
  const target = new ArrayBuffer(elements * (widths[to] ?? 1));
  const converter: BlockConverter | undefined = converterOf(from, to);
  converter?.(new Uint8Array(source.buffer, source.byteOffset, source.byteLength), new Uint8Array(target));
  return target;
}

function oracleBits(values: Float32Array | Float64Array): Uint16Array {
  return new Uint16Array(new Float16Array(values).buffer);
}

test.each([
  [1 / 3, 0x3555],
  [65504, 0x7bff],
  [65519.99, 0x7bff],
  [65520, 0x7c00],
  [-65520, 0xfc00],
  [2 ** -14, 0x0400],
  [2 ** -24, 0x0001],
  [2 ** -25, 0x0000], // a tie: zero is even
  [3 * 2 ** -25, 0x0002], // a tie between 1 and 2 steps
  [2 ** -25 * 1.0001, 0x0001],
  [-0, 0x8000],
  [1 + 2 ** -11, 0x3c00], // a tie: the even neighbour is below
  [1 + 3 * 2 ** -11, 0x3c02], // a tie: the even neighbour is above
  [1 + 2 ** -11 + 2 ** -40, 0x3c01], // by way of float32 this would round twice, to 0x3c00
  [Number.NaN, 0x7e00],
])('%f becomes float16 %i', (value, bits) => {
  expect(float16Bits(value)).toBe(bits);
});

test('every float16 code stands for the number that IEEE 754 says', () => {
  expect(Array.from(everyCode, float16Value)).toEqual(Array.from(everyCode, oracleValue));
});

test('numbers round to float16 as IEEE 754 says, at every tie and on both sides of it', () => {
  expect(Uint16Array.from(roundingCases, float16Bits)).toEqual(oracleBits(roundingCases));
});

test('only floats convert, to float32 and float16; every dtype can be copied', () => {
  for (const [from, to] of [
    ['i64', 'f32'],
    ['f32', 'i32'],
    ['bool', 'f16'],
    ['f32', 'bf16'],
    ['i64', 'i32'],
  ] as const) {
    expect(blockConverter(from, to)).toBeUndefined();
  }
  for (const dtype of ['i64', 'bool', 'bf16', 'u8'] as const)
    expect(blockConverter(dtype, dtype)).toBeDefined();
});

describe.each([
  ['with Float16Array', true],
  ['without Float16Array (Node 22)', false],
])('%s', (_name, native) => {
  let converterOf = blockConverter;
  beforeAll(async () => {
    vi.resetModules();
    if (!native) vi.stubGlobal('Float16Array', undefined);
    converterOf = (await import('../../src/weights/convert-dtype.ts')).blockConverter;
    vi.unstubAllGlobals();
  });
  afterAll(() => vi.unstubAllGlobals());

  test('float32 → float16 rounds to nearest even, overflows to infinity, and keeps a NaN’s sign', () => {
    expect(new Uint16Array(convert('f32', 'f16', roundingCases, converterOf))).toEqual(
      oracleBits(roundingCases),
    );
  });

  test('float64 → float16 rounds once', () => {
    const values = Float64Array.from([...roundingCases, 1 + 2 ** -11 + 2 ** -40, 5e-324, Number.MAX_VALUE]);
    expect(new Uint16Array(convert('f64', 'f16', values, converterOf))).toEqual(oracleBits(values));
  });

  test('every float16 → float32 is exact', () => {
    const floats = new Float32Array(convert('f16', 'f32', everyCode, converterOf));
    expect(floats).toEqual(Float32Array.from(everyCode, oracleValue));
  });

  test('every bfloat16 → float16 is the float16 nearest to it', () => {
    // A bfloat16 is the upper half of a float32.
    const values = new Float32Array(Uint32Array.from(everyCode, (code) => code << 16).buffer);
    expect(new Uint16Array(convert('bf16', 'f16', everyCode, converterOf))).toEqual(oracleBits(values));
  });
});

test('every bfloat16 → float32 keeps its bits', () => {
  const bits = new Uint32Array(convert('bf16', 'f32', everyCode));
  expect(bits).toEqual(Uint32Array.from(everyCode, (code) => code << 16));
});

test('float64 → float32 rounds to nearest even', () => {
  const values = Float64Array.of(Math.PI, 1 + 2 ** -24, 1 + 3 * 2 ** -24, 1e300, 1e-46, -0);
  const floats = new Float32Array(convert('f64', 'f32', values));
  expect([...floats]).toEqual([3.1415927410125732, 1, 1 + 2 ** -22, Infinity, 0, -0]);
});

test('a copy keeps every bit, also of a NaN', () => {
  const codes = Uint16Array.of(0x7e01, 0xfe00, 0x0001);
  expect(new Uint16Array(convert('f16', 'f16', codes))).toEqual(codes);
});

test.each(['e4m3', 'e5m2'])('every 8-bit float %s is the number that torch makes of it', async (name) => {
  // Written by test/python/make_torch_files.py.
  const path = fileURLToPath(new URL('../fixtures/torch/float8-values.safetensors', import.meta.url));
  const file = await openSafetensors(path);
  const [codes, f32, f16] = [name, `${name}.f32`, `${name}.f16`].map((key) => file.weights.get(key));
  if (!codes || !f32 || !f16) throw new Error(`no ${name}`);
  expect(codes).toMatchObject({ dtype: `f8_${name}`, shape: [256] });
  const ours = (await readTensor(codes, 'f32')).data;
  expect(ours).toEqual((await readTensor(f32, 'f32')).data);
  expect([...ours].filter(Number.isNaN)).toHaveLength(name === 'e4m3' ? 2 : 6);
  const values = Float32Array.from((await readTensor(codes, 'f16')).data, float16Value);
  expect(values).toEqual(Float32Array.from((await readTensor(f16, 'f16')).data, float16Value));
  await file.close();
});
