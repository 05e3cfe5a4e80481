import type { Room } from './room.ts';

/**
 * Sums over stretches of a sorted list of weighted float16 numbers, and the squared error of putting one number in their
 * place. A difference of two running sums loses what is small beside all that came before: one weight of 6·10⁴ hides the
 * squares of a million of 10⁻³. So each running sum is a pair of float64, the rounded sum and what rounding it left out
 * (Knuth's TwoSum), which together are exact: a float16 number has 11 significant bits, its square 22, and times a count
 * below 2³¹ both still fit a float64.
 */
export class RangeSums {
  readonly length: number;
  /** Running sums before each position: of the counts, which are whole numbers and exact, … */
  readonly #counts: Float64Array;
  /** … of count·x, and what rounding left out of it, … */
  readonly #sums: Float64Array;
  readonly #sumRests: Float64Array;
  /** … and of count·x². */
  readonly #squares: Float64Array;
  readonly #squareRests: Float64Array;
  /** What `#computeExact` gives: a number that is returned takes memory, and a search asks for a million. */
  readonly #exact = new Float64Array(1);

  /** `values` [n]: distinct float16 numbers, ascending; `counts` [n]: how often each occurs, at least once. Lies in `room`. */
  constructor(values: Float64Array, counts: Float64Array, room: Room) {
    const n = values.length;
    this.length = n;
    this.#counts = room.float64(n + 1);
    [this.#sums, this.#sumRests] = [room.float64(n + 1), room.float64(n + 1)];
    [this.#squares, this.#squareRests] = [room.float64(n + 1), room.float64(n + 1)];
    for (let i = 0; i < n; i++) {
      const x = values[i] ?? 0;
      const count = counts[i] ?? 0;
      this.#counts[i + 1] = (this.#counts[i] ?? 0) + count;
      accumulate(this.#sums, this.#sumRests, i, count * x);
      accumulate(this.#squares, this.#squareRests, i, count * (x * x));
    }
  }

  /** The mean of the numbers from `from` to `to` − 1. */
  mean(from: number, to: number): number {
    const sum = difference(this.#sums, from, to) + difference(this.#sumRests, from, to);
    return sum / difference(this.#counts, from, to);
  }

  /** The squared error of putting the mean in the place of the numbers from `from` to `to` − 1. */
  cost(from: number, to: number): number {
    const count = difference(this.#counts, from, to);
    const sum = difference(this.#sums, from, to) + difference(this.#sumRests, from, to);
    const squares = difference(this.#squares, from, to) + difference(this.#squareRests, from, to);
    const cost = squares - (sum * sum) / count;
    if (cost > squares * TRUSTED) return cost;
    this.#computeExact(from, to);
    return this.#exact[0] ?? 0;
  }

  /** Computes the cost of numbers much closer to each other than to zero: (Σx² · count − (Σx)²) / count, in double-double arithmetic. */
  #computeExact(from: number, to: number): void {
    const count = difference(this.#counts, from, to);
    const sum = upper(this.#sums, this.#sumRests, from, to);
    const sumRest = lower(this.#sums, this.#sumRests, from, to, sum);
    const squares = upper(this.#squares, this.#squareRests, from, to);
    const squareRest = lower(this.#squares, this.#squareRests, from, to, squares);
    const product = squares * count;
    const square = sum * sum;
    const rest =
      productRest(squares, count, product) +
      squareRest * count -
      (productRest(sum, sum, square) + 2 * sum * sumRest);
    this.#exact[0] = Math.max(0, (product - square + rest) / count);
  }
}

/** The part of the squares from which on the cost, being a difference, has at least ten right digits. */
const TRUSTED = 2 ** -20;

function difference(sums: Float64Array, from: number, to: number): number {
  return (sums[to] ?? 0) - (sums[from] ?? 0);
}

/** A difference of running sums, rounded, … */
function upper(sums: Float64Array, rests: Float64Array, from: number, to: number): number {
  return difference(sums, from, to) + roundedOff(sums, rests, from, to);
}

/** … and what rounding it left out. */
function lower(sums: Float64Array, rests: Float64Array, from: number, to: number, total: number): number {
  return difference(sums, from, to) - total + roundedOff(sums, rests, from, to);
}

/** What is missing in the difference of two running sums: what rounding it left out, and theirs. */
function roundedOff(sums: Float64Array, rests: Float64Array, from: number, to: number): number {
  const begin = sums[from] ?? 0;
  const end = sums[to] ?? 0;
  const high = end - begin;
  const added = high - end;
  return end - (high - added) - (begin + added) + difference(rests, from, to);
}

/** Rounding error of a·b (Dekker, 1971). */
function productRest(a: number, b: number, product: number): number {
  const aHigh = upperHalf(a);
  const bHigh = upperHalf(b);
  const aLow = a - aHigh;
  const bLow = b - bHigh;
  return aLow * bLow - (product - aHigh * bHigh - aLow * bHigh - aHigh * bLow);
}

/** The upper 26 bits of a float64's 53 (Veltkamp). */
function upperHalf(value: number): number {
  const shifted = value * (2 ** 27 + 1);
  return shifted - (shifted - value);
}

/** Extends a running sum by one term, `sums[i] + rests[i] + term`, without losing what rounding leaves out. */
function accumulate(sums: Float64Array, rests: Float64Array, i: number, term: number): void {
  const before = sums[i] ?? 0;
  const sum = before + term;
  const added = sum - before;
  const rest = before - (sum - added) + (term - added) + (rests[i] ?? 0);
  const total = sum + rest;
  sums[i + 1] = total;
  rests[i + 1] = sum - total + rest;
}
