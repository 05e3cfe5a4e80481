import type { TargetName } from '../../../src/formats/format.ts';
import type { OpAttributes, OpKind, SourceKind } from '../../../src/graph/op.ts';
import { float16Bits, float16Value } from '../../../src/weights/convert-dtype.ts';
import { elementCount } from '../../../src/weights/dtype.ts';
import { scattered } from '../scattered.ts';

/** A computation: what it reads, the type it must be given, what each format must write for it, and the same as plain loops. */
export interface Case {
  /** What is special about it. */
  readonly with?: string;
  /** In order: `x0`, `x1`, … are given by the caller, `w0`, `w1`, … weights, `c0`, … constants. */
  readonly operands: readonly Operand[];
  /** Dtype and shape of the result, which is called `y`. */
  readonly type: string;
  readonly written: Written;
  /** The result's elements, row-major. */
  readonly reference: (...operands: readonly Values[]) => number[];
}

/** What is written for a case, in float32: ONNX as `onnxText` prints it, MIL of iOS 16 as `writtenForm` does, Core AI as `coreAiText`. A format without a column does not compile. */
type Written = { readonly [F in TargetName]: string } & {
  /** MIL of iOS 17 and later, where that differs. */
  readonly ios17?: string;
};

export interface Operand {
  readonly from: 'input' | 'weight' | 'constant';
  readonly dtype: 'f32' | 'i32' | 'i64';
  readonly shape: readonly number[];
  /** Numbers that float16 holds, so that the reference is the same in every precision. */
  readonly values: readonly number[];
}

/** A tensor's numbers; 0 outside of it, as a convolution's padding is. */
export interface Values {
  readonly all: readonly number[];
  at(...index: readonly number[]): number;
}

/** A case of an operation with its attributes. */
type OpCase<K extends OpKind> = Case & {
  readonly attributes: K extends SourceKind ? object : OpAttributes[K];
};

/** One case at least for each of these operations. */
export type Rows<K extends OpKind> = { readonly [Each in K]: readonly [OpCase<Each>, ...OpCase<Each>[]] };

/** An input of scattered numbers. */
export function x(...shape: number[]): Operand {
  return { from: 'input', dtype: 'f32', shape, values: halves(elementCount(shape), 1) };
}

/** An input [n] of numbers between −`span` and `span`. */
export function wide(count: number, span: number): Operand {
  return { from: 'input', dtype: 'f32', shape: [count], values: halves(count, span) };
}

export function given(shape: number[], values: number[]): Operand {
  return { from: 'input', dtype: 'f32', shape, values };
}

export function ints(shape: number[], values: number[], dtype: 'i32' | 'i64' = 'i32'): Operand {
  return { from: 'input', dtype, shape, values };
}

export function w(...shape: number[]): Operand {
  return { from: 'weight', dtype: 'f32', shape, values: halves(elementCount(shape), 1) };
}

export function constant(shape: number[], values: number[], dtype: 'f32' | 'i32' = 'f32'): Operand {
  return { from: 'constant', dtype, shape, values };
}

/** Scattered numbers that float16 holds. */
function halves(count: number, span: number): number[] {
  return Array.from(scattered(count, count), (value) => float16Value(float16Bits(value * span)));
}

/** An array of this shape, row-major, from its elements' indices. */
export function fill(shape: readonly number[], element: (...index: number[]) => number): number[] {
  const [size, ...rest] = shape;
  if (size === undefined) return [element()];
  return Array.from({ length: size }, (_, first) =>
    fill(rest, (...index) => element(first, ...index)),
  ).flat();
}

export function windowSum(shape: readonly number[], term: (...index: number[]) => number): number {
  return fill(shape, term).reduce((sum, value) => sum + value, 0);
}

export function normalised(value: number, group: readonly number[], epsilon: number): number {
  const mean = group.reduce((sum, each) => sum + each, 0) / group.length;
  const variance = group.reduce((sum, each) => sum + (each - mean) ** 2, 0) / group.length;
  return (value - mean) / Math.sqrt(variance + epsilon);
}

export function rootMeanSquare(row: readonly number[], epsilon: number): number {
  return Math.sqrt(row.reduce((sum, each) => sum + each ** 2, 0) / row.length + epsilon);
}

/** The Maclaurin series of the error function: in float64 exact to ten digits where |x| < 3. */
export function erf(x: number): number {
  let [term, sum] = [x, x];
  for (let n = 1; n < 100; n++) {
    term *= -(x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (sum * 2) / Math.sqrt(Math.PI);
}

export function lines(...texts: string[]): string {
  return texts.join('\n');
}
