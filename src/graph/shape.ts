/**
 * Sizes of tensors. A size is a number, or, where a consumer wants it free (batch, height, width), a symbol.
 *
 * A symbol is kept as a monomial: `scale × s₁ × s₂ …`. That is all these networks need (halving, doubling and
 * flattening of height and width), it makes equality exact, and it keeps shape arithmetic out of the written graph.
 */
export type Dim = number | SymbolicDim;

/** `scale` times the product of `symbols` (sorted), e.g. `{ scale: 0.25, symbols: ['height', 'width'] }`. */
export interface SymbolicDim {
  readonly scale: number;
  readonly symbols: readonly string[];
}

/** Sizes of a tensor's dimensions, outermost first; `[]` is a scalar. */
export type Shape = readonly Dim[];

/** A free size called `name`. */
export function symbol(name: string): SymbolicDim {
  return { scale: 1, symbols: [name] };
}

export function sameDim(a: Dim, b: Dim): boolean {
  return formatDim(a) === formatDim(b);
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, axis) => sameDim(dim, dimAt(b, axis)));
}

/** Product of sizes. */
export function multiplyDims(dims: readonly Dim[]): Dim {
  let scale = 1;
  const symbols: string[] = [];
  for (const dim of dims) {
    if (typeof dim === 'number') scale *= dim;
    else {
      scale *= dim.scale;
      symbols.push(...dim.symbols);
    }
  }
  return symbols.length === 0 || scale === 0 ? scale : { scale, symbols: symbols.sort() };
}

/**
 * Size after a convolution or pooling window: ⌊(size + padding − kernel) / stride⌋ + 1; `undefined` when the window is
 * larger than what it slides over. A symbolic size is taken to be a multiple of the stride; `undefined` when the result
 * is then not a monomial.
 */
export function windowDim(size: Dim, kernel: number, stride: number, padding: number): Dim | undefined {
  if (typeof size === 'number')
    return size + padding < kernel ? undefined : Math.floor((size + padding - kernel) / stride) + 1;
  const added = Math.floor((padding - kernel) / stride) + 1;
  return added === 0 ? multiplyDims([size, 1 / stride]) : undefined;
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

/** `77`, `height`, `height / 2`, `height * width / 16`, `latent_height * 8`: with blanks, so that consumers that evaluate it can. */
export function formatDim(dim: Dim): string {
  if (typeof dim === 'number') return String(dim);
  const { scale } = dim;
  const product = dim.symbols.join(' * ');
  if (scale === 1) return product;
  return scale < 1 ? `${product} / ${1 / scale}` : `${product} * ${scale}`;
}

/** `[batch_size, 320, height / 2, width / 2]`. */
export function formatShape(shape: Shape): string {
  return `[${shape.map(formatDim).join(', ')}]`;
}

/** The shape with every symbol replaced by its value. Throws `RangeError` for a symbol without a value or a fractional size. */
export function bindShape(shape: Shape, values: Readonly<Record<string, number>>): number[] {
  return shape.map((dim) => {
    if (typeof dim === 'number') return dim;
    const size = dim.symbols.reduce((product, name) => product * (values[name] ?? Number.NaN), dim.scale);
    if (!Number.isInteger(size))
      throw new RangeError(`${formatDim(dim)} is ${size} for ${JSON.stringify(values)}`);
    return size;
  });
}
