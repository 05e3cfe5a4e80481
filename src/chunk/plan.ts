import { ChunkBudgetError } from '../errors.ts';

/**
 * Where to cut a network into pieces that run one after another. Works on any list of operations (ONNX nodes, MIL
 * operations), in an order in which they can be computed.
 *
 * A cut is judged by what it costs: the bytes that must cross it. Among the cuts that leave the pieces near-equal, the
 * cheapest is taken.
 */
export interface ChunkOperation {
  /** Names of the computed values it reads; weights and constants are left out. */
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  /** Bytes of the weights that only it reads. */
  readonly weightBytes: number;
}

/** What is known of a computed value. */
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

/** How far from the even share a cut may lie, as a part of the total. */
const TOLERANCE = 0.025;

/**
 * Cuts into the fewest chunks (but at least two) that stay under `maxBytes` of weights each. Throws `ChunkBudgetError` when one
 * operation alone is over the budget.
 */
export function planChunks(
  operations: readonly ChunkOperation[],
  values: ReadonlyMap<string, CrossingValue>,
  maxBytes: number,
): readonly Chunk[] {
  const total = operations.reduce((sum, { weightBytes }) => sum + weightBytes, 0);
  const largest = Math.max(0, ...operations.map(({ weightBytes }) => weightBytes));
  const crossing = crossingBytes(operations, values);
  const most = largest <= maxBytes ? operations.length : 0;
  for (let count = Math.max(2, Math.ceil(total / maxBytes)); count <= most; count++) {
    const chunks = cutInto(count, operations, crossing, total);
    if (chunks?.every(({ weightBytes }) => weightBytes <= maxBytes)) return chunks;
  }
  throw new ChunkBudgetError({
    problem: `no chunks can stay under ${gigabytes(maxBytes)}: the model holds ${gigabytes(total)} of weights.`,
    details: { 'largest single operation': gigabytes(largest) },
    advice: 'Raise --max-chunk-size, or store the weights with fewer bits.',
  });
}

/** Near-equal chunks, or `undefined` where too few places can be cut. */
function cutInto(
  count: number,
  operations: readonly ChunkOperation[],
  crossing: readonly (number | undefined)[],
  total: number,
): Chunk[] | undefined {
  const before = runningSums(operations);
  const cuts = [0];
  for (let k = 1; k < count; k++) {
    const cut = bestCut((total * k) / count, total * TOLERANCE, (cuts.at(-1) ?? 0) + 1, before, crossing);
    if (cut === undefined) return undefined;
    cuts.push(cut);
  }
  cuts.push(operations.length);
  return cuts.slice(1).map((to, k) => {
    const from = cuts[k] ?? 0;
    return { from, to, weightBytes: (before[to] ?? 0) - (before[from] ?? 0) };
  });
}

/**
 * The position at or after `first` that the fewest bytes cross among those within `tolerance` of `target` weight bytes; where none
 * is, the one nearest to it.
 */
function bestCut(
  target: number,
  tolerance: number,
  first: number,
  before: readonly number[],
  crossing: readonly (number | undefined)[],
): number | undefined {
  let best: { position: number; cost: number; distance: number } | undefined;
  for (let position = first; position < crossing.length; position++) {
    const bytes = crossing[position];
    if (bytes === undefined) continue;
    const distance = Math.abs((before[position] ?? 0) - target);
    // Outside the tolerance only the distance counts, and every place inside is better.
    const cost = distance <= tolerance ? bytes : Number.POSITIVE_INFINITY;
    if (!best || cost < best.cost || (cost === best.cost && distance < best.distance)) best = { position, cost, distance };
  }
  return best?.position;
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
function crossingBytes(operations: readonly ChunkOperation[], values: ReadonlyMap<string, CrossingValue>): (number | undefined)[] {
  const lastRead = new Map<string, number>();
  operations.forEach(({ reads }, position) => {
    for (const name of reads) lastRead.set(name, position);
  });
  const alive = new Map<string, number | undefined>();
  const crossing: (number | undefined)[] = [undefined];
  operations.forEach(({ reads, writes }, position) => {
    for (const name of writes) if ((lastRead.get(name) ?? -1) > position) alive.set(name, values.get(name)?.byteLength);
    for (const name of reads) if (lastRead.get(name) === position) alive.delete(name);
    let sum: number | undefined = 0;
    for (const bytes of alive.values()) sum = sum === undefined || bytes === undefined ? undefined : sum + bytes;
    crossing.push(sum);
  });
  return crossing.slice(0, -1);
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(2)} GB`;
}
