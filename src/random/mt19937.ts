/**
 * The Mersenne Twister MT19937 (Matsumoto & Nishimura, 1998), seeded by one 32-bit number as both NumPy's
 * `RandomState(seed)` and PyTorch's `manual_seed(seed)` do it.
 */
export class Mt19937 {
  readonly #state = new Uint32Array(STATE_WORDS);
  #next = STATE_WORDS;

  /** `seed`: its low 32 bits are used. */
  constructor(seed: number) {
    this.#state[0] = seed;
    let previous = this.#word(0);
    for (let i = 1; i < STATE_WORDS; i++) {
      previous = (Math.imul(previous ^ (previous >>> 30), 1812433253) + i) >>> 0;
      this.#state[i] = previous;
    }
  }

  /** The next 32 random bits, as an integer in [0, 2³²). */
  uint32(): number {
    if (this.#next === STATE_WORDS) this.#regenerate();
    let y = this.#word(this.#next++);
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    y ^= y >>> 18;
    return y >>> 0;
  }

  #regenerate(): void {
    for (let i = 0; i < STATE_WORDS; i++) {
      const y = (this.#word(i) & 0x80000000) | (this.#word((i + 1) % STATE_WORDS) & 0x7fffffff);
      this.#state[i] = this.#word((i + 397) % STATE_WORDS) ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.#next = 0;
  }

  #word(index: number): number {
    return this.#state[index] ?? 0;
  }
}

const STATE_WORDS = 624;
