import { ascendingCodes, float16Values, INFINITY_CODE, SIGN_BIT } from './float16-values.ts';

/** The distinct numbers of a tensor, ascending, and how often each occurs; −0 counts as 0. */
export interface DistinctNumbers {
  readonly values: Float64Array;
  readonly counts: Float64Array;
}

/** Room for the numbers while it is not known how many there are. */
let room: DistinctNumbers | undefined;

/**
 * How often each of the 65,536 float16 codes occurs in a tensor, counted a block at a time: all that a palette needs to know
 * of a tensor of any size, in 256 KiB that other threads can read.
 */
export class Float16Histogram {
  /** By code. */
  readonly counts: Uint32Array<SharedArrayBuffer>;

  /** Counts on from what is there. */
  constructor(counts = new Uint32Array(new SharedArrayBuffer(4 * 0x10000))) {
    this.counts = counts;
  }

  /** Counts a block of float16 codes. */
  add(codes: Uint16Array): void {
    const { counts } = this;
    // The code is a valid index: `?? 0` only satisfies the compiler.
    for (let i = 0; i < codes.length; i++) {
      const code = codes[i] ?? 0;
      counts[code] = (counts[code] ?? 0) + 1;
    }
  }

  /** Resets all counts. */
  clear(): void {
    this.counts.fill(0);
  }

  /** Number of infinities and NaNs counted. */
  get nonFinite(): number {
    let count = 0;
    for (let code = INFINITY_CODE; code < SIGN_BIT; code++) {
      count += (this.counts[code] ?? 0) + (this.counts[code | SIGN_BIT] ?? 0);
    }
    return count;
  }

  /** Whether there are more than so many codes. */
  hasMoreThan(most: number): boolean {
    let found = 0;
    // Small numbers have small codes, and most weights are small.
    for (let code = 0; code < this.counts.length && found <= most; code++)
      if (this.counts[code] !== 0) found++;
    return found > most;
  }

  /** The finite numbers that were counted: views of memory that the next call uses again, of any histogram. */
  distinct(): DistinctNumbers {
    const [all, numbers, codes] = [this.counts, float16Values(), ascendingCodes()];
    room ??= { values: new Float64Array(codes.length), counts: new Float64Array(codes.length) };
    const { values, counts } = room;
    let found = 0;
    for (let at = 0; at < codes.length; at++) {
      const code = codes[at] ?? 0;
      const count = (all[code] ?? 0) + (code === 0 ? (all[SIGN_BIT] ?? 0) : 0);
      if (count === 0) continue;
      values[found] = numbers[code] ?? 0;
      counts[found++] = count;
    }
    return { values: values.subarray(0, found), counts: counts.subarray(0, found) };
  }
}

/** Histograms of nothing, lent again and again, as a network has a thousand weights. */
const free: Float16Histogram[] = [];

/** A histogram that has counted nothing. */
export function borrowHistogram(): Float16Histogram {
  return free.pop() ?? new Float16Histogram();
}

/** Gives a histogram back; nobody may use it any more. */
export function returnHistogram(histogram: Float16Histogram): void {
  histogram.clear();
  free.push(histogram);
}
