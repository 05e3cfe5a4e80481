import { RequestError } from '../errors.ts';
import { count } from '../text.ts';

/**
 * Which weight gets how many bits. Each weight has a few choices, each with a size and an error; the total of one is to
 * be small while the other stays under a limit. On the lower convex hull of every weight's choices, the steps of all
 * weights taken in order of error per byte saved give the best total at every size they pass (Everett 1963, "Generalized
 * Lagrange multiplier method"; Shoham & Gersho 1988 for bits). Errors of different weights are taken to add up, which
 * holds while they are small, so the choice has to be measured.
 */

/** One way to store a weight. */
export interface BitChoice {
  readonly bits: number;
  readonly bytes: number;
  /** Mean squared error that it alone causes in the model's output. */
  readonly error: number;
}

/** A weight and its choices; the one without loss is among them. */
export interface WeightChoices {
  readonly name: string;
  readonly choices: readonly BitChoice[];
}

/** Chosen bits of all weights. */
export interface Allocation {
  readonly bits: ReadonlyMap<string, number>;
  /** Sum over all weights. */
  readonly bytes: number;
  /** Sum over all weights: the predicted mean squared error of the output. */
  readonly error: number;
}

/**
 * Every allocation on the way from the largest and most exact to the smallest, each smaller than the one before; what
 * lies between two of them is not better than both.
 */
export function* allocations(weights: readonly WeightChoices[]): Generator<Allocation> {
  const hulls = weights.map(({ name, choices }) => ({ name, hull: lowerHull(choices) }));
  const steps = stepsInOrder(hulls);
  /** The bits after so many steps: made when they are asked for, since of all allocations few are. */
  const bitsAfter = (taken: number): ReadonlyMap<string, number> => {
    const bits = new Map(hulls.map(({ name, hull }) => [name, hull[0]?.bits ?? 0]));
    for (const { name, to } of steps.slice(0, taken)) bits.set(name, to.bits);
    return bits;
  };
  let bytes = sum(hulls, (choice) => choice.bytes);
  let error = sum(hulls, (choice) => choice.error);
  yield { bits: bitsAfter(0), bytes, error };
  for (const [before, { from, to }] of steps.entries()) {
    bytes += to.bytes - from.bytes;
    error += to.error - from.error;
    yield {
      get bits() {
        return bitsAfter(before + 1);
      },
      bytes,
      error,
    };
  }
}

/** The smallest allocation whose predicted error is at most `maxError`; the most exact one where none is. */
export function smallestWithin(weights: readonly WeightChoices[], maxError: number): Allocation {
  return last(allocations(weights), ({ error }) => error <= maxError);
}

/**
 * The most exact allocation of at most `maxBytes`, or `undefined` where even the smallest is larger. `bytesOf` says what an
 * allocation really takes, where that is more than the sum of the weights.
 */
export function bestWithin(
  weights: readonly WeightChoices[],
  maxBytes: number,
  bytesOf: (allocation: Allocation) => number = ({ bytes }) => bytes,
): Allocation | undefined {
  const all = [...allocations(weights)];
  const fits = (index: number): boolean => {
    const allocation = all[index];
    return allocation !== undefined && bytesOf(allocation) <= maxBytes;
  };
  let [low, high] = [0, all.length - 1];
  if (!fits(high)) return undefined;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (fits(middle)) high = middle;
    else low = middle + 1;
  }
  return all[high];
}

/** The error for a size that even the smallest allocation exceeds; in bytes, as rounded both may read the same. */
export function notThatSmall(bytes: number, smallest: number): RequestError {
  return new RequestError({
    problem: `the model cannot be as small as ${count(bytes, 'byte')}.`,
    details: { 'smallest that it can be': count(smallest, 'byte') },
    advice: `Raise --target-size to ${smallest}, or more.`,
  });
}

interface Step {
  readonly name: string;
  readonly from: BitChoice;
  readonly to: BitChoice;
}

/** The steps along all hulls, the cheapest error per byte first; a hull's own steps stay in their order, as they become dearer. */
function stepsInOrder(hulls: readonly { name: string; hull: readonly BitChoice[] }[]): Step[] {
  const steps = hulls.flatMap(({ name, hull }) =>
    hull.slice(1).flatMap((to, index): Step[] => {
      const from = hull[index];
      return from ? [{ name, from, to }] : [];
    }),
  );
  return steps.sort((a, b) => price(a.from, a.to) - price(b.from, b.to));
}

/** The choices worth taking, from the largest to the smallest: each step saves bytes at a higher price than the one before. */
function lowerHull(choices: readonly BitChoice[]): BitChoice[] {
  const hull: BitChoice[] = [];
  for (const choice of choices.toSorted((a, b) => b.bytes - a.bytes || b.error - a.error)) {
    // Larger and no better than this one.
    while ((hull.at(-1)?.error ?? -1) >= choice.error) hull.pop();
    for (;;) {
      const [before, top] = [hull.at(-2), hull.at(-1)];
      if (!before || !top || price(before, top) < price(top, choice)) break;
      hull.pop();
    }
    hull.push(choice);
  }
  return hull;
}

/** Error for each byte saved. */
function price(from: BitChoice, to: BitChoice): number {
  return (to.error - from.error) / (from.bytes - to.bytes);
}

function sum(hulls: readonly { hull: readonly BitChoice[] }[], of: (choice: BitChoice) => number): number {
  return hulls.reduce((total, { hull: [first] }) => total + (first ? of(first) : 0), 0);
}

function last(all: Iterable<Allocation>, fits: (allocation: Allocation) => boolean): Allocation {
  let best: Allocation | undefined;
  for (const allocation of all) {
    if (best && !fits(allocation)) break;
    best = allocation;
  }
  if (!best) throw new Error('there is always the first allocation');
  return best;
}
