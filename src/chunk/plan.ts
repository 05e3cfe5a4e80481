import { ChunkBudgetError } from '../errors.ts';
import { formatBytes } from '../text.ts';

/**
 * An operation as the planner of cuts sees it: an ONNX node or a MIL operation, in a list in an order of computation.
 *
 * The cost of a cut is the bytes that cross it. Among the cuts into pieces of almost equal size, the cheapest is taken.
 */
export interface ChunkOperation {
  /** Names of the computed values it reads; weights and constants are left out. */
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  /** Bytes of the weights that only it reads. */
  readonly weightBytes: number;
  /** Bytes of the values that exist while it is computed, where a chunk's memory is limited and not only its weights. */
  readonly workBytes?: number | undefined;
}

/** Size of a computed value, where it is known. */
export interface CrossingValue {
  /** Its size in bytes, or `undefined` for a value that cannot cross (its type is not known). */
  readonly byteLength: number | undefined;
}

/** One piece: operations `from` … `to`−1. */
export interface Chunk {
  readonly from: number;
  readonly to: number;
  readonly weightBytes: number;
}

/** Largest distance of a cut from the even share, as a fraction of the total. */
const TOLERANCE = 0.025;

/**
 * Cuts into the fewest chunks (but at least two) that stay under `maxBytes` each: of weights, and where operations have
 * `workBytes` of these too. Throws `ChunkBudgetError` when one operation, or a stretch that cannot be cut, is over the budget.
 */
export function planChunks(
  operations: readonly ChunkOperation[],
  values: ReadonlyMap<string, CrossingValue>,
  maxBytes: number,
): readonly Chunk[] {
  const before = runningSums(operations);
  const crossing = crossingBytes(operations, values);
  const chunks = cutEvenly(before, crossing, reaches(operations, before, crossing, maxBytes));
  if (chunks) return chunks;
  const largest = Math.max(0, ...operations.map(({ weightBytes }) => weightBytes));
  throw new ChunkBudgetError({
    problem: `no chunks can stay under ${formatBytes(maxBytes)}: the model holds ${formatBytes(before.at(-1) ?? 0)} of weights.`,
    details: { 'largest single operation': formatBytes(largest) },
    advice: 'Raise --max-chunk-size, or store the weights with fewer bits.',
  });
}

/**
 * Near-equal chunks, or `undefined` where none fit. `before` has the weight bytes before each position, `crossing` the bytes
 * that a cut there costs, `reach` where a chunk that begins there ends at the latest.
 */
function cutEvenly(
  before: readonly number[],
  crossing: readonly (number | undefined)[],
  reach: readonly number[],
): Chunk[] | undefined {
  const total = before.at(-1) ?? 0;
  const weightBefore = (position: number): number => before[position] ?? 0;
  const fewest = fewestChunks(crossing, reach);
  const count = Math.max(2, fewest[0] ?? 0);
  if (!Number.isFinite(count)) return undefined;
  const cuts = [0];
  for (let k = 1; k < count; k++) {
    const last = cuts.at(-1) ?? 0;
    const places = crossing.flatMap((bytes, position) => {
      const weight = weightBefore(position);
      const fits = position <= (reach[last] ?? 0) && (fewest[position] ?? 0) <= count - k;
      if (bytes === undefined || position <= last || !fits) return [];
      return { position, bytes, distance: Math.abs(weight - (total * k) / count) };
    });
    const cut = bestPlace(places, total * TOLERANCE);
    if (cut === undefined) return undefined;
    cuts.push(cut);
  }
  cuts.push(before.length - 1);
  return cuts.slice(1).map((to, k) => {
    const from = cuts[k] ?? 0;
    return { from, to, weightBytes: weightBefore(to) - weightBefore(from) };
  });
}

/**
 * For each position, the last at which a chunk that begins there can end: the position itself where not even one operation
 * fits. Values that enter a chunk are held until it ends, so they count beside what exists at once within.
 */
function reaches(
  operations: readonly ChunkOperation[],
  before: readonly number[],
  crossing: readonly (number | undefined)[],
  maxBytes: number,
): number[] {
  const end = operations.length;
  const most = rangeMaximum(operations.map(({ workBytes }) => workBytes ?? 0));
  const hasWork = operations.some(({ workBytes }) => workBytes !== undefined);
  return Array.from({ length: end }, (_, from) => {
    const entering = hasWork ? (crossing[from] ?? 0) : 0;
    const fits = (to: number): boolean =>
      (before[to] ?? 0) - (before[from] ?? 0) + most(from, to) + entering <= maxBytes;
    // The longer a chunk, the larger.
    let [fitting, tooFar] = [from, end + 1];
    while (tooFar - fitting > 1) {
      const middle = (fitting + tooFar) >>> 1;
      if (fits(middle)) fitting = middle;
      else tooFar = middle;
    }
    return fitting;
  });
}

/** Gives the largest of the values `from` … `to`−1, in constant time: it keeps those of all ranges of 1, 2, 4, … values. */
function rangeMaximum(values: readonly number[]): (from: number, to: number) => number {
  const levels = [values];
  for (let width = 1; width * 2 <= values.length; width *= 2) {
    const previous = levels.at(-1) ?? [];
    const count = values.length - width * 2 + 1;
    levels.push(
      Array.from({ length: count }, (_, at) => Math.max(previous[at] ?? 0, previous[at + width] ?? 0)),
    );
  }
  return (from, to) => {
    const level = Math.floor(Math.log2(to - from));
    return Math.max(levels[level]?.[from] ?? 0, levels[level]?.[to - 2 ** level] ?? 0);
  };
}

/** For each position, the fewest chunks that what comes from there on can be cut into; infinite where it cannot. */
function fewestChunks(crossing: readonly (number | undefined)[], reach: readonly number[]): number[] {
  const end = reach.length;
  const fewest: number[] = Array(end + 1).fill(Number.POSITIVE_INFINITY);
  fewest[end] = 0;
  const leadsOn = (to: number): boolean =>
    (to === end || crossing[to] !== undefined) && Number.isFinite(fewest[to]);
  for (let from = end - 1; from >= 0; from--) {
    // The longest chunk that fits leaves the least to the others.
    let to = reach[from] ?? from;
    while (to > from && !leadsOn(to)) to--;
    if (to > from) fewest[from] = 1 + (fewest[to] ?? 0);
  }
  return fewest;
}

/** A place to cut: the bytes that cross it, and how many bytes of weights it is away from the even share. */
interface Place {
  readonly position: number;
  readonly bytes: number;
  readonly distance: number;
}

/**
 * The place that the fewest bytes cross among those within `tolerance` of the even share; where none is, the one nearest
 * to it.
 */
function bestPlace(places: readonly Place[], tolerance: number): number | undefined {
  const near = places.filter(({ distance }) => distance <= tolerance);
  const ranked =
    near.length > 0
      ? near.toSorted((a, b) => a.bytes - b.bytes || a.distance - b.distance)
      : places.toSorted((a, b) => a.distance - b.distance);
  return ranked[0]?.position;
}

/** Weight bytes of the operations before each position. */
function runningSums(operations: readonly ChunkOperation[]): number[] {
  const sums = [0];
  for (const { weightBytes } of operations) sums.push((sums.at(-1) ?? 0) + weightBytes);
  return sums;
}

/**
 * For each position, the bytes of the values computed before it and read at or after it; `undefined` where such a value
 * cannot cross, and before the first operation.
 */
function crossingBytes(
  operations: readonly ChunkOperation[],
  values: ReadonlyMap<string, CrossingValue>,
): (number | undefined)[] {
  const lastRead = new Map<string, number>();
  operations.forEach(({ reads }, position) => {
    for (const name of reads) lastRead.set(name, position);
  });
  const alive = new Map<string, number | undefined>();
  let [sum, unknown] = [0, 0];
  const count = (bytes: number | undefined, sign: 1 | -1): void => {
    if (bytes === undefined) unknown += sign;
    else sum += sign * bytes;
  };
  const end = (name: string): void => {
    if (alive.has(name)) count(alive.get(name), -1);
    alive.delete(name);
  };
  const crossing: (number | undefined)[] = [undefined];
  operations.forEach(({ reads, writes }, position) => {
    for (const name of writes) {
      if ((lastRead.get(name) ?? -1) <= position) continue;
      end(name); // one that is written twice
      const { byteLength } = values.get(name) ?? {};
      // Sums of larger ones would not be exact: such values are none.
      const bytes = Math.abs(byteLength ?? 0) <= Number.MAX_SAFE_INTEGER ? byteLength : undefined;
      count(bytes, 1);
      alive.set(name, bytes);
    }
    for (const name of reads) if (lastRead.get(name) === position) end(name);
    crossing.push(unknown > 0 ? undefined : sum);
  });
  return crossing.slice(0, -1);
}
