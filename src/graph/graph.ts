import type { DType } from '../weights/dtype.ts';
import type { Weight } from '../weights/weight.ts';
import { inferType } from './infer.ts';
import type { ComputedOp, ConstantData, Op } from './op.ts';
import { formatShape, type Shape } from './shape.ts';
import type { Recorder, Tensor, TensorType } from './tensor.ts';

/** A result of a graph and the name its consumers know it by. */
export interface GraphOutput {
  readonly name: string;
  readonly tensor: Tensor;
}

/** A network: its inputs in the consumers' order, every tensor in an order in which it can be computed, its outputs. */
export interface Graph {
  readonly inputs: readonly Tensor[];
  readonly tensors: readonly Tensor[];
  readonly outputs: readonly GraphOutput[];
}

/**
 * Records operations. Shapes are inferred and checked as each is added, so a mistake throws in the model's own line.
 * Asking twice for the same operation on the same inputs gives the same tensor.
 */
export class GraphBuilder implements Recorder {
  readonly #inputs: Tensor[] = [];
  readonly #tensors: Tensor[] = [];
  readonly #names = new Map<string, number>();
  readonly #known = new Map<string, Tensor>();
  readonly #ids = new Map<Tensor, number>();

  /** A tensor that the caller provides. */
  input(name: string, type: TensorType): Tensor {
    const tensor = this.#record(name, { kind: 'input' }, [], type);
    this.#inputs.push(tensor);
    return tensor;
  }

  /** Numbers written into the graph: [n] or `shape`. `dtype` is f32 or f16 (rounded when written) for fractions, i32 for integers. */
  constant(
    data: ConstantData,
    shape: Shape,
    name = 'constant',
    dtype: DType = data instanceof Float32Array ? 'f32' : 'i32',
  ): Tensor {
    const key = data.length <= 16 ? `constant ${dtype} ${formatShape(shape)} ${data.join(' ')}` : undefined;
    return this.#once(key, name, { kind: 'constant', data }, [], { dtype, shape });
  }

  /** A tensor of the checkpoint, stored as `dtype` and in `shape` (the same elements, row-major). */
  weight(weight: Weight, { dtype, shape }: TensorType): Tensor {
    return this.#record(weight.name, { kind: 'weight', weight }, [], { dtype, shape });
  }

  /**
   * The result of an operation. `name` is the module's path for the operation that gives a module its value; without
   * it the tensor is named after the module it follows: `<module>/<kind>`.
   * Throws `ShapeError` when the inputs do not fit.
   */
  apply(op: ComputedOp, inputs: readonly Tensor[], name = nameAfter(op, inputs)): Tensor {
    const key = `${JSON.stringify(op)} ${inputs.map((tensor) => this.#ids.get(tensor)).join(' ')}`;
    return this.#once(key, name, op, inputs, inferType(op, inputs, name));
  }

  /** The graph of everything the outputs need; nothing is to be recorded after it. */
  finish(outputs: readonly GraphOutput[]): Graph {
    const needed = new Set<Tensor>(this.#inputs);
    for (const { tensor } of outputs) needed.add(tensor);
    // Iterating over a set includes what is added meanwhile: this reaches every input of the outputs.
    for (const tensor of needed) for (const input of tensor.inputs) needed.add(input);
    const graph = {
      inputs: this.#inputs,
      tensors: this.#tensors.filter((tensor) => needed.has(tensor)),
      outputs,
    };
    // Tensors keep their builder, and what it needed to record them would take as much memory as the graph.
    for (const known of [this.#known, this.#ids, this.#names]) known.clear();
    return graph;
  }

  #once(key: string | undefined, name: string, op: Op, inputs: readonly Tensor[], type: TensorType): Tensor {
    const known = key === undefined ? undefined : this.#known.get(key);
    if (known) return known;
    const tensor = this.#record(name, op, inputs, type);
    if (key !== undefined) this.#known.set(key, tensor);
    return tensor;
  }

  /** `x`, then `x_2`, `x_3`, …; the next number is kept, as some names come thousands of times. */
  #unusedName(wanted: string): string {
    let name = wanted;
    for (let copy = this.#names.get(wanted) ?? 1; this.#names.has(name); ) {
      name = `${wanted}_${++copy}`;
      this.#names.set(wanted, copy);
    }
    this.#names.set(name, 1);
    return name;
  }

  #record(wanted: string, op: Op, inputs: readonly Tensor[], { dtype, shape }: TensorType): Tensor {
    const name = this.#unusedName(wanted);
    const tensor: Tensor = { name, op, inputs, dtype, shape, builder: this };
    this.#ids.set(tensor, this.#tensors.length);
    this.#tensors.push(tensor);
    return tensor;
  }
}

/** `<module>/<kind>`, where the module is that of the first input that is computed. */
function nameAfter(op: Op, inputs: readonly Tensor[]): string {
  const source = inputs.find(({ op: { kind } }) => kind !== 'weight' && kind !== 'constant') ?? inputs[0];
  return source ? `${source.name.split('/')[0]}/${op.kind}` : op.kind;
}
