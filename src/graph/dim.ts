/**
 * The size of one dimension. It is a number, or, where a consumer wants it free (batch, height, width), a formula of
 * symbols.
 *
 * A formula is a polynomial with whole coefficients over one divisor, in a canonical form: what these networks do to
 * sizes (halve, double, flatten, put text tokens before picture tokens) stays inside it, equality is exact, and no shape
 * arithmetic is left for the written graph.
 */
export type Dim = number | SymbolicDim;

/** The sum of `terms`, divided by `divisor`: `height * width / 4 + 333` is { terms: [1·height·width, 1332], divisor: 4 }. */
export interface SymbolicDim {
  /** Higher powers first, then by the symbols' names, the constant last; no two of the same symbols, none zero. */
  readonly terms: readonly Term[];
  /** At least 1; without a factor in common with all terms. */
  readonly divisor: number;
}

/** A whole number times the product of symbols (sorted; none for a constant). */
interface Term {
  readonly factor: number;
  readonly symbols: readonly string[];
}

/** A free size called `name`. */
export function symbol(name: string): SymbolicDim {
  return { terms: [{ factor: 1, symbols: [name] }], divisor: 1 };
}

/** Whether two sizes are the same whatever their symbols stand for. */
export function sameDim(a: Dim, b: Dim): boolean {
  return a === b || (typeof a !== 'number' && typeof b !== 'number' && isSameFormula(a, b));
}

function isSameFormula(a: SymbolicDim, b: SymbolicDim): boolean {
  return (
    a.divisor === b.divisor &&
    a.terms.length === b.terms.length &&
    a.terms.every(({ factor, symbols }, index) => {
      const other = b.terms[index] as Term;
      return (
        factor === other.factor &&
        symbols.length === other.symbols.length &&
        symbols.every((name, at) => name === other.symbols[at])
      );
    })
  );
}

/** Sum of sizes. Throws `RangeError` for a number that is not whole beside a symbol. */
export function addDims(dims: readonly Dim[]): Dim {
  return combined(
    dims,
    0,
    (a, b) => a + b,
    (left, right) => [...scaled(left.terms, right.divisor), ...scaled(right.terms, left.divisor)],
  );
}

/** The size a − b, which need not be positive. Throws `RangeError` as `addDims` does. */
export function subtractDims(a: Dim, b: Dim): Dim {
  return addDims([a, multiplyDims([b, -1])]);
}

/** Product of sizes. Throws `RangeError` for a number that is not whole beside a symbol. */
export function multiplyDims(dims: readonly Dim[]): Dim {
  return combined(
    dims,
    1,
    (a, b) => a * b,
    (left, right) =>
      left.terms.flatMap((one) =>
        right.terms.map((other) => ({
          factor: one.factor * other.factor,
          symbols: [...one.symbols, ...other.symbols].sort(),
        })),
      ),
  );
}

/** Numbers first, since most sizes are numbers: a canonical form takes time, and a large graph has 10⁵ sizes. */
function combined(
  dims: readonly Dim[],
  neutral: number,
  ofNumbers: (a: number, b: number) => number,
  termsOf: (left: SymbolicDim, right: SymbolicDim) => Term[],
): Dim {
  const total = dims.filter((dim) => typeof dim === 'number').reduce(ofNumbers, neutral);
  const free: Dim[] = dims.filter((dim) => typeof dim !== 'number');
  if (free.length === 0) return total;
  if (total !== neutral) free.push(total);
  return free.reduce((a, b) => {
    const [left, right] = [formula(a), formula(b)];
    return canonical(termsOf(left, right), left.divisor * right.divisor);
  });
}

/**
 * The size divided by a whole number, without a rest. Throws `RangeError` for a number that leaves one; a free size is
 * taken to be a multiple, and `bindDim` refuses values that are none.
 */
export function divideDim(size: Dim, by: number): Dim {
  if (typeof size !== 'number') return canonical(size.terms, size.divisor * by);
  if (size % by !== 0) throw new RangeError(`${size} is not a multiple of ${by}`);
  return size / by;
}

/**
 * Size after a convolution or pooling window: ⌊(size + padding − kernel) / stride⌋ + 1; `undefined` when the window is
 * larger than what it slides over. A free size is taken to be a multiple of the stride.
 */
export function windowDim(size: Dim, kernel: number, stride: number, padding: number): Dim | undefined {
  if (typeof size === 'number')
    return size + padding < kernel ? undefined : Math.floor((size + padding - kernel) / stride) + 1;
  return addDims([divideDim(size, stride), Math.floor((padding - kernel) / stride) + 1]);
}

/** The least that a size can be, where each symbol stands for 1 or more; −∞ where more of a symbol makes it less. */
export function leastOf(size: Dim): number {
  if (typeof size === 'number') return size;
  const shrinks = size.terms.some(({ factor, symbols }) => factor < 0 && symbols.length > 0);
  return shrinks ? Number.NEGATIVE_INFINITY : evaluate(size, () => 1);
}

/** `77`, `height`, `height / 2`, `height * width / 16`, `latent_height * 8`, `height * width / 4 + 333`: with blanks, so that consumers that evaluate it can. */
export function formatDim(dim: Dim): string {
  if (typeof dim === 'number') return String(dim);
  return dim.terms
    .map((term, index) => {
      const sign = index === 0 ? ['', '-'] : [' + ', ' - '];
      return `${sign[term.factor < 0 ? 1 : 0]}${formatTerm(term, dim.divisor)}`;
    })
    .join('');
}

/** The size with every symbol replaced by its value. Throws `RangeError` for a symbol without a value or a fractional size. */
export function bindDim(dim: Dim, values: Readonly<Record<string, number>>): number {
  if (typeof dim === 'number') return dim;
  const size = evaluate(dim, (name) => values[name] ?? Number.NaN);
  if (!Number.isInteger(size))
    throw new RangeError(`${formatDim(dim)} is ${size} for ${JSON.stringify(values)}`);
  return size;
}

function formatTerm({ factor, symbols }: Term, divisor: number): string {
  const common = greatestCommonDivisor(factor, divisor);
  const [times, over] = [Math.abs(factor) / common, divisor / common];
  const product = symbols.length === 0 || times !== 1 ? [...symbols, times] : symbols;
  return product.join(' * ') + (over === 1 ? '' : ` / ${over}`);
}

function evaluate({ terms, divisor }: SymbolicDim, value: (name: string) => number): number {
  const sum = terms.reduce(
    (total, { factor, symbols }) => total + symbols.reduce((product, name) => product * value(name), factor),
    0,
  );
  return sum / divisor;
}

function formula(dim: Dim): SymbolicDim {
  if (typeof dim !== 'number') return dim;
  if (!Number.isInteger(dim)) throw new RangeError(`${dim} is not a whole number`);
  return { terms: [{ factor: dim, symbols: [] }], divisor: 1 };
}

function scaled(terms: readonly Term[], by: number): Term[] {
  return terms.map(({ factor, symbols }) => ({ factor: factor * by, symbols }));
}

/** Terms of the same symbols added up and put in order, what all have in common with the divisor taken out; a number where nothing is free. */
function canonical(terms: readonly Term[], divisor: number): Dim {
  const sums = new Map<string, Term>();
  for (const { factor, symbols } of terms) {
    const key = symbols.join(' ');
    sums.set(key, { factor: factor + (sums.get(key)?.factor ?? 0), symbols });
  }
  const kept = [...sums]
    .filter(([, { factor }]) => factor !== 0)
    .sort(([a, { symbols: of }], [b, { symbols: than }]) => than.length - of.length || (a < b ? -1 : 1))
    .map(([, term]) => term);
  if (kept.every(({ symbols }) => symbols.length === 0)) return (kept[0]?.factor ?? 0) / divisor;
  const common = kept.reduce((so, { factor }) => greatestCommonDivisor(so, factor), divisor);
  return {
    terms: kept.map(({ factor, symbols }) => ({ factor: factor / common, symbols })),
    divisor: divisor / common,
  };
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? Math.abs(a) : greatestCommonDivisor(b, a % b);
}
