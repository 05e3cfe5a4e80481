import { ShapeError } from '../errors.ts';
import { elementCount } from '../weights/dtype.ts';
import type { GraphBuilder } from './graph.ts';
import { formatShape } from './shape.ts';
import type { Tensor } from './tensor.ts';
import type { WeightBook } from './weight-book.ts';

/** A place in a network: its path is the diffusers name of the module there, and the prefix of its weights' names. */
export class Scope {
  readonly builder: GraphBuilder;
  readonly path: string;
  readonly #weights: WeightBook;

  constructor(builder: GraphBuilder, weights: WeightBook, path = '') {
    this.builder = builder;
    this.path = path;
    this.#weights = weights;
  }

  /** The place below: `at.in('attn1').in('to_q')` is `….attn1.to_q`. */
  in(name: string): Scope {
    return new Scope(this.builder, this.#weights, this.#below(name));
  }

  /** Whether the checkpoint has weights below this name. */
  has(name: string): boolean {
    return this.#weights.has(this.#below(name));
  }

  /** Counts the modules `name.0`, `name.1`, … of the checkpoint. */
  count(name: string): number {
    let n = 0;
    while (this.has(`${name}.${n}`)) n++;
    return n;
  }

  /** The weight of this name as the checkpoint shapes it, to be computed with in float32. */
  weight(name: string): Tensor {
    const weight = this.#weights.take(this.#below(name));
    return this.builder.weight(weight, { dtype: 'f32', shape: weight.shape });
  }

  /** The weight of this name with `shape` laid over the same elements (a linear layer as a 1×1 convolution). */
  weightAs(name: string, shapeOf: (shape: readonly number[]) => readonly number[]): Tensor {
    const weight = this.#weights.take(this.#below(name));
    const shape = shapeOf(weight.shape);
    if (elementCount(shape) !== elementCount(weight.shape)) {
      throw new ShapeError({
        problem: `${weight.name} has the shape ${formatShape(weight.shape)}, which cannot be read as ${formatShape(shape)}.`,
        details: { file: weight.file },
      });
    }
    return this.builder.weight(weight, { dtype: 'f32', shape });
  }

  #below(name: string): string {
    return this.path ? `${this.path}.${name}` : name;
  }
}
