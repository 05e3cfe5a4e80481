import { log32, sincos32 } from './float32-math.ts';
import { Mt19937 } from './mt19937.ts';
import type { Rng } from './rng.ts';

/**
 * PyTorch's CPU stream, `torch.randn(count, generator=torch.Generator().manual_seed(seed))`, as its AVX2 kernel
 * gives it: MT19937, then Box–Muller (in float32 by blocks of 16 values; below 16 values in double, one by one).
 */
export class TorchNormal implements Rng {
  readonly #bits: Mt19937;
  #waiting: number | undefined;

  constructor(seed: number) {
    this.#bits = new Mt19937(seed);
  }

  normal(count: number): Float32Array {
    if (count < BLOCK) return Float32Array.from({ length: count }, () => this.#gauss());
    const values = this.#uniforms(new Float32Array(count));
    for (let start = 0; start + BLOCK <= count; start += BLOCK)
      boxMuller(values.subarray(start, start + BLOCK));
    // A tail shorter than a block: the last 16 values are drawn anew, over what the block before had put there.
    if (count % BLOCK !== 0) boxMuller(this.#uniforms(values.subarray(count - BLOCK)));
    return values;
  }

  /** Fills `values` with 24-bit uniforms in [0, 1). */
  #uniforms(values: Float32Array): Float32Array {
    for (let i = 0; i < values.length; i++) values[i] = (this.#bits.uint32() % 2 ** 24) / 2 ** 24;
    return values;
  }

  #gauss(): number {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) return waiting;
    const angle = 2 * Math.PI * this.#uniform64();
    const radius = Math.sqrt(-2 * Math.log1p(-this.#uniform64()));
    this.#waiting = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /** A double in [0, 1) with 53 random bits. */
  #uniform64(): number {
    const high = this.#bits.uint32() % 2 ** 21;
    return (high * 2 ** 32 + this.#bits.uint32()) / 2 ** 53;
  }
}

const BLOCK = 16;
const TWO_PI = Math.fround(2 * Math.PI);

/** Turns 16 uniforms into normals, in place: the first eight give the radii, the last eight the angles. */
function boxMuller(block: Float32Array): void {
  const [radii, angles] = [block.subarray(0, BLOCK / 2), block.subarray(BLOCK / 2)];
  for (const [i, uniform] of radii.entries()) {
    const radius = Math.fround(Math.sqrt(Math.fround(-2 * log32(1 - uniform))));
    const { sin, cos } = sincos32(Math.fround(TWO_PI * (angles[i] ?? 0)));
    radii[i] = radius * cos + 0; // + 0 turns −0 into 0, as PyTorch's `· std + mean` does
    angles[i] = radius * sin + 0;
  }
}
