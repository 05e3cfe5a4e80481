import { UnsupportedModelError } from '../errors.ts';
import { type CrossingValue, planChunks } from './plan.ts';

/**
 * Cutting a model of any format: which operations, inputs and values each chunk has. What every chunk can have without
 * another chunk's work does not cross a cut but is given to each that needs it: constants, inputs, and what operations
 * make of constants alone (a palette unfolded, a float16 weight cast to float32) or by laying inputs out anew.
 */

/** An operation of a model, as far as cutting is concerned. A constant is an operation that reads nothing. */
export interface CutOperation {
  /** Names of the values it reads, constants included. */
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  /** Bytes of the weights that it holds itself. */
  readonly weightBytes: number;
  /** Bytes of the values that exist while it is computed, where a chunk's memory is limited. */
  readonly workBytes?: number | undefined;
  /** When it may be done again in every chunk; one that draws random numbers never may. */
  readonly repeatable: 'never' | 'on constants' | 'on inputs';
}

/** A model to be cut; its operations in an order in which they can be computed. */
export interface CutModel<Operation extends CutOperation> {
  readonly operations: readonly Operation[];
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Computed values by name; a value that is not listed cannot cross a cut. */
  readonly values: ReadonlyMap<string, CrossingValue>;
}

/** Contents of a chunk. */
export interface CutChunk<Operation extends CutOperation> {
  /** In the model's order, with all constants they need. */
  readonly operations: readonly Operation[];
  /** The model's inputs that it reads. */
  readonly inputs: readonly string[];
  /** The values it takes from earlier chunks, in the order in which they are computed. */
  readonly entering: readonly string[];
  /** The values that later chunks take from it, in the order in which they are computed. */
  readonly leaving: readonly string[];
  /** The model's outputs that it computes. */
  readonly outputs: readonly string[];
}

/** Cuts a model into chunks of at most `maxBytes` of weights (and work), at least two. Throws `ChunkBudgetError`. */
export function cutModel<Operation extends CutOperation>(
  model: CutModel<Operation>,
  maxBytes: number,
): CutChunk<Operation>[] {
  const givens = new Givens(model);
  const work = model.operations.filter((operation) => !givens.includes(operation));
  const planned = work.map(({ reads, writes, weightBytes, workBytes }) => ({
    reads: reads.filter((name) => !givens.knows(name)).slice(), // without V8's room for more, two megabytes for a UNet
    writes,
    weightBytes: givens.needed(reads).reduce((sum, each) => sum + each.weightBytes, weightBytes),
    workBytes,
  }));
  return planChunks(planned, model.values, maxBytes).map(({ from, to }) => {
    const own = work.slice(from, to);
    const kept = new Set([...givens.needed(own.flatMap(({ reads }) => reads)), ...own]);
    const read = new Set([...kept].flatMap(({ reads }) => reads));
    const readLater = new Set(work.slice(to).flatMap(({ reads }) => reads));
    const made = new Set(own.flatMap(({ writes }) => writes));
    const madeEarlier = work.slice(0, from).flatMap(({ writes }) => writes);
    return {
      operations: model.operations.filter((operation) => kept.has(operation)),
      inputs: model.inputs.filter((name) => read.has(name)),
      entering: madeEarlier.filter((name) => read.has(name)),
      leaving: [...made].filter((name) => readLater.has(name)),
      outputs: model.outputs.filter((name) => made.has(name)),
    };
  });
}

/** Values that each operation reads that are given, on average; those of known models have a tenth. */
const MOST_GIVENS = 100;

/** Values that every chunk can compute for itself, from inputs and constants. */
class Givens<Operation extends CutOperation> {
  readonly #known: Set<string>;
  /** The operation that makes each value that is not an input. */
  readonly #makers = new Map<string, Operation>();
  /** Values that may still be looked at: what is made of much must not be so for each of its readers. */
  #left: number;

  constructor({ operations, inputs, outputs }: CutModel<Operation>) {
    const given = new Set(outputs);
    const constant = new Set<string>();
    this.#known = new Set(inputs);
    this.#left = 1e5 + MOST_GIVENS * operations.length;
    for (const operation of operations) {
      const { reads, writes, repeatable } = operation;
      const isConstant = repeatable !== 'never' && reads.every((name) => constant.has(name));
      const isLaidOut = repeatable === 'on inputs' && reads.every((name) => this.#known.has(name));
      // An output has to be computed by one chunk only.
      if (!(isConstant || isLaidOut) || writes.some((name) => given.has(name))) continue;
      for (const name of writes) {
        if (isConstant) constant.add(name);
        this.#known.add(name);
        this.#makers.set(name, operation);
      }
    }
  }

  /** Whether a value is given. */
  knows(name: string): boolean {
    return this.#known.has(name);
  }

  /** Whether an operation computes a given. */
  includes({ writes }: Operation): boolean {
    return writes.some((name) => this.#makers.has(name));
  }

  /** The operations that make these values, as far as they are given. Throws `UnsupportedModelError` where those of all operations together are far too many. */
  needed(names: readonly string[]): Operation[] {
    const wanted = new Set(names);
    // Iterating over a set includes what is added meanwhile.
    for (const name of wanted) {
      if (--this.#left < 0) throw tooManyGivens();
      for (const read of this.#makers.get(name)?.reads ?? []) wanted.add(read);
    }
    return [...new Set([...wanted].flatMap((name) => this.#makers.get(name) ?? []))];
  }
}

function tooManyGivens(): UnsupportedModelError {
  return new UnsupportedModelError({
    problem: 'the model cannot be cut: its operations read constants that are each made of very many others.',
    advice: 'Let its exporter fold constants, or quantise and run it whole.',
  });
}
