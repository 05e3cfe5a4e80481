import { Mt19937 } from './mt19937.ts';
import type { Rng } from './rng.ts';

/**
 * NumPy's legacy stream, `np.random.RandomState(seed).randn(count).astype(np.float32)`: MT19937, 53-bit uniforms and
 * Marsaglia's polar method, whose second value waits for the next call.
 */
export class NumpyNormal implements Rng {
  readonly #bits: Mt19937;
  #waiting: number | undefined;

  constructor(seed: number) {
    this.#bits = new Mt19937(seed);
  }

  normal(count: number): Float32Array {
    return Float32Array.from({ length: count }, () => this.#gauss());
  }

  #gauss(): number {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) return waiting;
    let x: number, y: number, radius2: number;
    do {
      x = 2 * this.#uniform() - 1;
      y = 2 * this.#uniform() - 1;
      radius2 = x * x + y * y;
    } while (radius2 >= 1 || radius2 === 0);
    const factor = Math.sqrt((-2 * Math.log(radius2)) / radius2);
    this.#waiting = factor * x;
    return factor * y;
  }

  /** A double in [0, 1) with 53 random bits. */
  #uniform(): number {
    const high = this.#bits.uint32() >>> 5;
    const low = this.#bits.uint32() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }
}
