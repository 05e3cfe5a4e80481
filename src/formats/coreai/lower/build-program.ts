import type { Graph } from '../../../graph/graph.ts';
import { isFixed } from '../../../graph/shape.ts';
import type { Tensor } from '../../../graph/tensor.ts';
import { byteSize } from '../../../weights/dtype.ts';
import { streamIn } from '../../../weights/tensor-stream.ts';
import type { Port, Program } from '../program.ts';
import { type Attention, attentionOf } from './attention.ts';
import { DeclaredGraphs } from './declared-graphs.ts';
import { lower, typeOfTensor } from './lower.ts';
import { type FixedValue, OperationWriter } from './operation-writer.ts';
import { withTokensLast } from './tokens-last.ts';

/** The function that clients call. */
const MAIN = 'main';

/** The set of operations of OS 27. */
const STAMP = 20260409;

/**
 * Builds the Core AI program of a graph, which must have fixed sizes; dtypes are the graph's. Inputs and outputs keep their
 * names and order. No weight is read before the program is written.
 */
export function buildProgram(graph: Graph): Program {
  const { inputs, tensors, outputs } = withTokensLast(graph);
  const builder = new ProgramBuilder();
  const given = inputs.map((tensor): Port => ({ name: tensor.name, value: builder.input(tensor) }));
  for (const tensor of needed({ inputs, tensors, outputs })) builder.add(tensor);
  const results = outputs.map(({ name, tensor }): Port => ({ name, value: builder.valueOf(tensor) }));
  const main = {
    name: MAIN,
    isPublic: true,
    inputs: given,
    outputs: results,
    operations: builder.write.operations,
  };
  return { stamp: STAMP, graphs: [...builder.declared.all, main] };
}

/** What is computed, in order: all that the outputs need, and of attention only what it reads. */
function needed({ tensors, outputs }: Graph): readonly Tensor[] {
  const read = new Set(outputs.map(({ tensor }) => tensor));
  // Iterating over a set includes what is added meanwhile.
  for (const tensor of read) for (const input of readsOf(tensor)) read.add(input);
  return tensors.filter((tensor) => read.has(tensor) && !isGiven(tensor));
}

function readsOf(tensor: Tensor): readonly Tensor[] {
  const attention = attentionOf(tensor);
  return attention ? operandsOf(attention) : tensor.inputs;
}

function operandsOf({ query, key, value, mask }: Attention): readonly Tensor[] {
  return [query, key, value, ...(mask ? [mask] : [])];
}

/** Constants are recorded right before what reads them first. */
function isGiven({ op: { kind } }: Tensor): boolean {
  return kind === 'input' || kind === 'weight' || kind === 'constant';
}

class ProgramBuilder {
  readonly write = new OperationWriter();
  readonly declared = new DeclaredGraphs();
  readonly #values = new Map<Tensor, FixedValue>();

  input(tensor: Tensor): FixedValue {
    const value = { type: typeOfTensor(tensor) };
    this.#values.set(tensor, value);
    return value;
  }

  add(tensor: Tensor): FixedValue {
    const attention = attentionOf(tensor);
    const value = attention ? this.#attend(attention) : this.#lower(tensor);
    this.#values.set(tensor, value);
    return value;
  }

  valueOf(tensor: Tensor): FixedValue {
    return this.#values.get(tensor) ?? this.add(tensor);
  }

  #lower(tensor: Tensor): FixedValue {
    const { write, declared } = this;
    const [, , bias] = tensor.inputs;
    // A bias of a convolution is recorded in the shape in which it is added.
    const read = tensor.op.kind === 'conv2d' && bias ? tensor.inputs.slice(0, 2) : tensor.inputs;
    const operands = read.map((input) => this.valueOf(input));
    return lower({ write, declared, shaped: (each, shape) => this.#shaped(each, shape) }, tensor, operands);
  }

  #attend({ query, key, value, mask, scale }: Attention): FixedValue {
    const operands = { query: this.valueOf(query), key: this.valueOf(key), value: this.valueOf(value) };
    return this.declared.attention(this.write, { ...operands, mask: mask && this.valueOf(mask) }, scale);
  }

  #shaped(tensor: Tensor, shape: readonly number[]): FixedValue {
    const { op, dtype } = tensor;
    if (op.kind !== 'weight' || this.#values.has(tensor) || !isFixed(shape))
      return this.write.reshape(this.valueOf(tensor), shape);
    const { weight } = op;
    const stream = { name: weight.name, byteLength: byteSize(shape, dtype), stream: streamIn(weight, dtype) };
    return this.write.stored(typeOfTensor({ ...tensor, shape }), stream);
  }
}
