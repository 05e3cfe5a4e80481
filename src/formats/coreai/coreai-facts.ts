/** Facts that only Core AI assets have. */
export interface CoreAiFacts {
  /** The date, as the number yyyymmdd, of the set of operations that it is written in. */
  readonly stamp: number;
  /** Names of the functions that clients can call. */
  readonly functions: readonly string[];
  /** How often what back ends have kernels for is called, by its name: `group_norm`. */
  readonly declared: Readonly<Record<string, number>>;
}
