/** A stream of standard normal numbers; the same seed and the same sequence of calls give the same numbers. */
export interface Rng {
  /** The next `count` numbers of the stream, float32. */
  normal(count: number): Float32Array;
}
