import { ascendingCodes, float16Values, INFINITY_CODE, SIGN_BIT } from './float16-values.ts';

/** The distinct numbers of a tensor, ascending, and how often each occurs; −0 counts as 0. */
export interface DistinctNumbers {
  readonly values: Float64Array;
  readonly counts: Float64Array;
}

/**
 * How often each of the 65,536 float16 codes occurs in a tensor, counted a block at a time: all that a palette needs to know
 * of a tensor of any size, in 256 KiB.
 */
export class Float16Histogram {
  readonly #counts = new Uint32Array(0x10000);
  /** Room for the numbers while it is not known how many there are: it is taken once for all groups of a weight. */
  readonly #room: DistinctNumbers = { values: new Float64Array(0x10000), counts: new Float64Array(0x10000) };

  /** Counts a block of float16 codes. */
  add(codes: Uint16Array): void {
    const counts = this.#counts;
    // The code is a valid index: `?? 0` only satisfies the compiler.
    for (let i = 0; i < codes.length; i++) {
      const code = codes[i] ?? 0;
      counts[code] = (counts[code] ?? 0) + 1;
    }
  }

  /** Resets all counts. */
  clear(): void {
    this.#counts.fill(0);
  }

  /** Number of infinities and NaNs counted. */
  get nonFinite(): number {
    let count = 0;
    for (let code = INFINITY_CODE; code < SIGN_BIT; code++) {
      count += (this.#counts[code] ?? 0) + (this.#counts[code | SIGN_BIT] ?? 0);
    }
    return count;
  }

  /** The finite numbers that were counted. */
  distinct(): DistinctNumbers {
    const [all, numbers, codes] = [this.#counts, float16Values(), ascendingCodes()];
    const { values, counts } = this.#room;
    let found = 0;
    for (let at = 0; at < codes.length; at++) {
      const code = codes[at] ?? 0;
      const count = (all[code] ?? 0) + (code === 0 ? (all[SIGN_BIT] ?? 0) : 0);
      if (count === 0) continue;
      values[found] = numbers[code] ?? 0;
      counts[found++] = count;
    }
    return { values: values.slice(0, found), counts: counts.slice(0, found) };
  }
}
