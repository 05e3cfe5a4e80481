import { MissingWeightError, UnusedWeightError } from '../errors.ts';
import type { Weight } from '../weights/weight.ts';

/** Tensors that a network leaves alone, and why. */
export interface Ignored {
  readonly names: RegExp;
  readonly reason: string;
}

/**
 * The weights of one component, handed out by name, each once. A checkpoint that is not used exactly is a checkpoint
 * of something else.
 */
export class WeightBook {
  readonly #weights: ReadonlyMap<string, Weight>;
  readonly #network: string;
  readonly #paths = new Set<string>();
  readonly #taken = new Set<string>();

  /** `network` is what to call the reader in errors, e.g. `the UNet`. */
  constructor(network: string, weights: ReadonlyMap<string, Weight>) {
    this.#network = network;
    this.#weights = weights;
    for (const name of weights.keys()) {
      for (let end = name.length; end > 0; end = name.lastIndexOf('.', end - 1))
        this.#paths.add(name.slice(0, end));
    }
  }

  /** Whether any weight lies at or below a path. */
  has(path: string): boolean {
    return this.#paths.has(path);
  }

  /** The weight of this name. Throws `MissingWeightError`, naming the nearest name there is. */
  take(name: string): Weight {
    const weight = this.#weights.get(name);
    if (!weight) throw this.#missing(name);
    if (this.#taken.has(name)) throw new Error(`${this.#network} reads ${name} twice`);
    this.#taken.add(name);
    return weight;
  }

  /** Throws `UnusedWeightError` when a weight was neither taken nor is to be ignored. */
  finish(ignored: readonly Ignored[]): void {
    const unused = [...this.#weights.keys()].filter(
      (name) => !this.#taken.has(name) && !ignored.some(({ names }) => names.test(name)),
    );
    const [first] = unused;
    if (first === undefined) return;
    throw new UnusedWeightError({
      problem: `${this.#network} has no use for ${count(unused.length, 'weight')} of this checkpoint.`,
      details: {
        first,
        file: this.#weights.get(first)?.file ?? '',
        used: `${this.#taken.size} of ${this.#weights.size}`,
      },
      advice:
        'The config describes another network than the weights. Check that both come from the same model.',
    });
  }

  #missing(name: string): MissingWeightError {
    const [any] = this.#weights.values();
    const nearest = nearestName(name, this.#weights.keys());
    return new MissingWeightError({
      problem: `${this.#network} needs a weight that this checkpoint does not have.`,
      details: {
        missing: name,
        file: `${any?.file ?? '(none)'} (${count(this.#weights.size, 'tensor')})`,
        ...(nearest ? { nearest } : {}),
      },
      advice:
        'The file is incomplete, or the config describes another network. Download it again, or check where it comes from.',
    });
  }
}

function count(n: number, what: string): string {
  return `${n.toLocaleString('en')} ${what}${n === 1 ? '' : 's'}`;
}

/** The name that shares the most dotted parts, counted from both ends. */
function nearestName(wanted: string, names: Iterable<string>): string | undefined {
  const parts = wanted.split('.');
  let best: string | undefined;
  let bestScore = 1;
  for (const name of names) {
    const other = name.split('.');
    let [head, tail] = [0, 0];
    while (head < parts.length && parts[head] === other[head]) head++;
    while (tail < parts.length - head && parts.at(-1 - tail) === other.at(-1 - tail)) tail++;
    if (head + tail > bestScore) [best, bestScore] = [name, head + tail];
  }
  return best;
}
