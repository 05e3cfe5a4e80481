import type { DType } from '../weights/dtype.ts';
import { type Dim, sameDim } from './dim.ts';
import { formatShape, type Shape, sameShape } from './shape.ts';
import type { TensorType } from './tensor.ts';

/** Thrown inside a shape rule with what does not fit; `inferType` adds where. */
export class Misfit extends Error {}

/** Throws a `Misfit` unless something fits. */
export function expect(fits: boolean, misfit: () => string): void {
  if (!fits) throw new Misfit(misfit());
}

/** The type of an input that must be there. */
export function typeOf(input: TensorType | undefined): TensorType {
  if (!input) throw new Misfit('an input is missing');
  return input;
}

/** The type of an input that must have so many dimensions; `what` is its name in errors. */
export function ranked(input: TensorType | undefined, rank: number, what: string): TensorType {
  const type = typeOf(input);
  expect(type.shape.length === rank, () => `${what} ${formatShape(type.shape)} is not of rank ${rank}`);
  return type;
}

/** Throws a `Misfit` for an input, where one is given, that is not [size]. */
export function expectVector(input: TensorType | undefined, size: Dim, what: string): void {
  expect(
    !input || sameShape(input.shape, [size]),
    () => `the ${what} ${formatShape(typeOf(input).shape)} is not ${formatShape([size])}`,
  );
}

/** Throws a `Misfit` for an axis that a shape does not have, counted from the front. */
export function expectAxis(axis: number, shape: Shape): void {
  expect(axis in shape, () => `${formatShape(shape)} has no axis ${axis}`);
}

/** Throws a `Misfit` for an input that is not []. */
export function expectNumber(input: TensorType | undefined, what: string): void {
  const { shape } = typeOf(input);
  expect(shape.length === 0, () => `the ${what} ${formatShape(shape)} is not a single number`);
}

/** The inputs that are there: a bias may be left out. */
export function present(...inputs: readonly (TensorType | undefined)[]): TensorType[] {
  return inputs.filter((input) => input !== undefined);
}

/** The one dtype of all inputs; throws a `Misfit` where they differ. */
export function sameDType(...inputs: readonly (TensorType | undefined)[]): DType {
  const { dtype } = typeOf(inputs[0]);
  expect(
    inputs.every((input) => input?.dtype === dtype),
    () => `${inputs.map((input) => input?.dtype).join(' and ')} are not one dtype`,
  );
  return dtype;
}

/** The shape that two shapes broadcast to, as NumPy does it; throws a `Misfit` where they do not. */
export function broadcast(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  const at = (shape: Shape, axis: number): Dim => shape[axis - rank + shape.length] ?? 1;
  return Array.from({ length: rank }, (_, axis) => {
    const [left, right] = [at(a, axis), at(b, axis)];
    expect(
      left === 1 || right === 1 || sameDim(left, right),
      () => `${formatShape(a)} and ${formatShape(b)} do not broadcast`,
    );
    return left === 1 ? right : left;
  });
}
