import { bindDim, type Dim, formatDim, sameDim } from './dim.ts';

/** Sizes of a tensor's dimensions, outermost first; `[]` is a scalar. */
export type Shape = readonly Dim[];

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, axis) => sameDim(dim, dimAt(b, axis)));
}

/** The size at an axis; negative axes count from the end. Throws `RangeError` outside the shape. */
export function dimAt(shape: Shape, axis: number): Dim {
  const dim = shape.at(axis);
  if (dim === undefined) throw new RangeError(`axis ${axis} of ${formatShape(shape)}`);
  return dim;
}

/** The size at an axis that must be a number (channels, heads). */
export function fixedDimAt(shape: Shape, axis: number): number {
  const dim = dimAt(shape, axis);
  if (typeof dim !== 'number')
    throw new RangeError(`axis ${axis} of ${formatShape(shape)} has no fixed size`);
  return dim;
}

/** Whether every size is a number. */
export function isFixed(shape: Shape): shape is readonly number[] {
  return shape.every((dim) => typeof dim === 'number');
}

/** `[batch_size, 320, height / 2, width / 2]`. */
export function formatShape(shape: Shape): string {
  return `[${shape.map(formatDim).join(', ')}]`;
}

/** The shape with every symbol replaced by its value. Throws `RangeError` for a symbol without a value or a fractional size. */
export function bindShape(shape: Shape, values: Readonly<Record<string, number>>): number[] {
  return shape.map((dim) => bindDim(dim, values));
}
