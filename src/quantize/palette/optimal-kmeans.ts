import { RangeSums } from './range-sums.ts';
import { Room } from './room.ts';

/**
 * Exact k-means in one dimension: finds the k centres with the least squared error, without randomness.
 *
 * Clusters of sorted numbers are stretches, so a clustering is a path of k steps over the positions between the numbers; a
 * step costs its stretch's squared error (Wu, "Optimal quantization by matrix searching", 1991; Grønlund
 * et al., "Fast exact k-means, k-medians and Bregman divergence clustering in 1D", 2017). That cost has the Monge property:
 * two overlapping stretches never cost more than their union and intersection. Hence
 * - the least cost is a convex function of k: with a price λ added to every step, the cheapest path has the k that is optimal
 *   for this price, and is found without counting steps, in n·log n with a queue of candidates (Hirschberg & Larmore, 1987);
 * - where no price gives exactly k steps, because paths with fewer and with more steps cost the same, the beginning of one
 *   and the end of another join to a path of k steps that costs no more (Aggarwal, Schieber & Tokuyama, 1994).
 */

/** k stretches of sorted numbers. */
export interface Clustering {
  /** Exclusive ends of the stretches `0 … ends[0]`, `ends[0] … ends[1]`, … */
  readonly ends: Uint32Array;
  /** Their means. */
  readonly centres: Float64Array;
}

/** What a number takes: seven float64 and four uint32, of `RangeSums`, `PathSearch` and the path of all numbers. */
const BYTES_A_NUMBER = 7 * 8 + 4 * 4;

/** One search after another lies in it. There are no more than 2¹⁶ float16 numbers. */
const room = new Room(BYTES_A_NUMBER * 2 ** 16);

/**
 * The clustering of the least squared error into `k` clusters, or into as many as there are numbers where these are fewer.
 * `values` [n]: distinct float16 numbers, ascending; `counts` [n]: how often each occurs. Ties are decided the same way on
 * every machine. Time: about n·log n, ten times or so.
 */
export function optimalKMeans(values: Float64Array, counts: Float64Array, k: number): Clustering {
  const n = values.length;
  room.clear();
  const sums = new RangeSums(values, counts, room);
  const ends =
    k >= n ? Uint32Array.from(values, (_, i) => i + 1) : shortestPath(values, counts, sums, k).ends;
  const begins = [0, ...ends];
  return { ends, centres: Float64Array.from(ends, (end, i) => sums.mean(begins[i] ?? 0, end)) };
}

/** A path, its cost without prices, and a price at which it is the cheapest. */
interface Path {
  readonly ends: Uint32Array;
  readonly cost: number;
  readonly price?: number;
}

/** The path of exactly k steps, 0 < k < n, that costs the least. */
function shortestPath(values: Float64Array, counts: Float64Array, sums: RangeSums, k: number): Path {
  // Brackets: one step, and a step for every number. A higher price gives fewer steps.
  let fewer: Path = { ends: Uint32Array.of(sums.length), cost: sums.cost(0, sums.length) };
  if (k === 1) return fewer;
  const search = new PathSearch(sums);
  let more: Path = { ends: everyEnd(sums.length), cost: 0 };
  for (let guesses = MOST_GUESSES; ; guesses--) {
    // At the chord's price both brackets cost the same: either a path is cheaper than both, or they are optimal.
    const chord = (fewer.cost - more.cost) / (more.ends.length - fewer.ends.length);
    const guess = guessPrice(fewer, more, k) ?? (2 * highResolutionError(values, counts)) / k ** 3;
    const found = search.atPrice(guesses > 0 ? guess : chord);
    const steps = found.ends.length;
    if (steps === k) return found;
    if (steps > fewer.ends.length && steps < k) fewer = found;
    else if (steps > k && steps < more.ends.length) more = found;
    else if (guesses > 0) guesses = 1;
    else return spliced(fewer, more, k);
  }
}

function everyEnd(length: number): Uint32Array {
  const ends = room.uint32(length);
  for (let i = 0; i < length; i++) ends[i] = i + 1;
  return ends;
}

/** Guesses of the price from how errors fall as palettes grow, before the chord method takes over. */
const MOST_GUESSES = 12;

/**
 * The price at which k steps are likely, from the brackets' own: with many levels the error falls as c/k², and the price,
 * what one step more saves, as 2c/k³. `undefined` while neither bracket was found at a price.
 */
function guessPrice(fewer: Path, more: Path, k: number): number | undefined {
  const [low, high] = [fewer.price, more.price];
  if (low === undefined) return high && high * (more.ends.length / k) ** 3;
  if (high === undefined) return low * (fewer.ends.length / k) ** 3;
  const share = Math.log(k / fewer.ends.length) / Math.log(more.ends.length / fewer.ends.length);
  return low ** (1 - share) * high ** share;
}

/** The c of the error c/k² that k levels leave when k is large: (∫ density^⅓)³ / 12 (Panter & Dite, 1951). */
function highResolutionError(values: Float64Array, counts: Float64Array): number {
  let integral = 0;
  for (let i = 1; i < values.length; i++) {
    const gap = (values[i] ?? 0) - (values[i - 1] ?? 0);
    const count = ((counts[i] ?? 0) + (counts[i - 1] ?? 0)) / 2;
    integral += Math.cbrt(count * gap * gap);
  }
  return integral ** 3 / 12;
}

/** Finds cheapest paths at different prices a step; its memory is reused. */
class PathSearch {
  readonly #sums: RangeSums;
  /** Cheapest way to each position: its price, and where its last step began. */
  readonly #best: Float64Array;
  readonly #bestRest: Float64Array;
  readonly #from: Uint32Array;
  /** Candidates for the last step's beginning, and the position from which on each is the best one. */
  readonly #queue: Uint32Array;
  readonly #since: Uint32Array;

  constructor(sums: RangeSums) {
    const n = sums.length;
    this.#sums = sums;
    [this.#best, this.#bestRest] = [room.float64(n + 1), room.float64(n + 1)];
    this.#from = room.uint32(n + 1);
    this.#queue = room.uint32(n + 1);
    this.#since = room.uint32(n + 1);
  }

  /** The cheapest path when every step costs `price` besides its squared error. */
  atPrice(price: number): Path {
    const [sums, best, rests, from] = [this.#sums, this.#best, this.#bestRest, this.#from];
    const [queue, since] = [this.#queue, this.#since];
    const n = sums.length;
    queue[0] = 0;
    since[0] = 1;
    let [head, tail] = [0, 0];
    for (let end = 1; end <= n; end++) {
      while (head < tail && (since[head + 1] ?? 0) <= end) head++;
      const begin = queue[head] ?? 0;
      from[end] = begin;
      const step = sums.cost(begin, end) + price;
      const total = (best[begin] ?? 0) + step;
      best[end] = total;
      const added = total - (best[begin] ?? 0);
      rests[end] = (rests[begin] ?? 0) + ((best[begin] ?? 0) - (total - added) + (step - added));
      while (tail > head && this.#isAhead(end, queue[tail] ?? 0, since[tail] ?? 0)) tail--;
      const other = queue[tail] ?? 0;
      const first = this.#firstAhead(end, other, tail > head ? (since[tail] ?? 0) : end);
      if (first > n) continue;
      tail++;
      queue[tail] = end;
      since[tail] = first;
    }
    return this.#path(price);
  }

  /**
   * Whether the last step to a position had better begin at `begin` than at `other`, which is before it. A later beginning, once
   * better, stays better (Monge): each candidate is the best one on a stretch, or never.
   */
  #isAhead(begin: number, other: number, position: number): boolean {
    const [best, rests, sums] = [this.#best, this.#bestRest, this.#sums];
    const ahead = (best[begin] ?? 0) - (best[other] ?? 0) + ((rests[begin] ?? 0) - (rests[other] ?? 0));
    return ahead + (sums.cost(begin, position) - sums.cost(other, position)) < 0;
  }

  /** The first position after `start` where `begin` is ahead of `other`; one after the last if there is none. It is likely to be near: steps double until it is passed. */
  #firstAhead(begin: number, other: number, start: number): number {
    const end = this.#sums.length;
    let low = start;
    let step = 1;
    while (low + step <= end && !this.#isAhead(begin, other, low + step)) {
      low += step;
      step *= 2;
    }
    let high = Math.min(low + step, end + 1);
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (this.#isAhead(begin, other, middle)) high = middle;
      else low = middle;
    }
    return high;
  }

  #path(price: number): Path {
    const ends: number[] = [];
    let cost = 0;
    for (let end = this.#sums.length; end > 0; end = this.#from[end] ?? 0) {
      ends.push(end);
      cost += this.#sums.cost(this.#from[end] ?? 0, end);
    }
    return { ends: Uint32Array.from(ends.reverse()), cost, price };
  }
}

/**
 * Joins two paths of equal cost at one price, with fewer and with more than k steps, to one of exactly k: the beginning of
 * the first and the end of the second, at a step of the first that spans a step of the second with the right number of
 * steps after it.
 */
function spliced(fewer: Path, more: Path, k: number): Path {
  const ahead = more.ends.length - k;
  const begin = (ends: Uint32Array, step: number): number => (step === 0 ? 0 : (ends[step - 1] ?? 0));
  let step = 0;
  // Before the first step the second path is not behind; at the last the first one is at the end.
  while (begin(more.ends, step + 1 + ahead) >= begin(fewer.ends, step + 1)) step++;
  const ends = Uint32Array.of(...fewer.ends.subarray(0, step), ...more.ends.subarray(step + ahead));
  return { ends, cost: Number.NaN };
}
