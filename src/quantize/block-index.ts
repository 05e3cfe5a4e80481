/**
 * Which block each element of a tensor is in, where every axis is cut into blocks of equal size (the last may be smaller);
 * blocks are numbered in row-major order.
 */
export class BlockIndex {
  /** Number of blocks along each axis. */
  readonly counts: readonly number[];
  /** Number of blocks. */
  readonly total: number;
  /** The outer axes, and the last. An axis that is not cut, or that is cut everywhere after one that is, is one with the axis before. */
  readonly #axes: readonly Axis[];
  readonly #row: Axis;

  constructor(shape: readonly number[], blockShape: readonly number[]) {
    const sizes = shape.map((size, axis) => Math.min(size, blockShape[axis] ?? 1));
    this.counts = shape.map((size, axis) => Math.ceil(size / (sizes[axis] ?? 1)));
    this.total = this.counts.reduce((product, count) => product * count, 1);
    const merged: { size: number; step: number }[] = [];
    shape.forEach((size, axis) => {
      const step = sizes[axis] ?? 1;
      const before = merged.at(-1);
      if (size === 1) return;
      if (before && step === size) {
        before.size *= size;
        before.step *= size;
      } else if (before?.step === 1 && step === 1) before.size *= size;
      else merged.push({ size, step });
    });
    let weight = 1;
    const axes = merged
      .reverse()
      .map(({ size, step }) => {
        const axis = { size, step, weight };
        weight *= Math.ceil(size / step);
        return axis;
      })
      .reverse();
    this.#row = axes.pop() ?? { size: 1, step: 1, weight: 1 };
    this.#axes = axes;
  }

  /**
   * Visits the `length` elements from `position` on, run by run. Those numbered `from` to `to` (excluded), counted from
   * `position`, are all in one block where `step` is 0, and in this and the following blocks, one in each, where it is 1.
   */
  eachRun(
    position: number,
    length: number,
    visit: (from: number, to: number, block: number, step: 0 | 1) => void,
  ): void {
    const { size, step } = this.#row;
    let row = Math.floor(position / size);
    let inRow = position - row * size;
    for (let at = 0; at < length; row++) {
      const base = this.#baseOf(row);
      while (inRow < size && at < length) {
        const block = Math.floor(inRow / step);
        const end = step === 1 ? size : Math.min((block + 1) * step, size);
        const to = Math.min(at + end - inRow, length);
        visit(at, to, base + block, step === 1 ? 1 : 0);
        inRow += to - at;
        at = to;
      }
      inRow = 0;
    }
  }

  #baseOf(row: number): number {
    let base = 0;
    let rest = row;
    for (let at = this.#axes.length - 1; at >= 0; at--) {
      const { size, step, weight } = this.#axes[at] ?? this.#row;
      base += Math.floor((rest % size) / step) * weight;
      rest = Math.floor(rest / size);
    }
    return base;
  }
}

interface Axis {
  readonly size: number;
  /** Positions along the axis that share a block. */
  readonly step: number;
  /** Stride between the numbers of neighbouring blocks. */
  readonly weight: number;
}
