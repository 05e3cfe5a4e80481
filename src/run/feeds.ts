import { cardOf } from '../convert/networks/networks.ts';
import { RequestError } from '../errors.ts';
import type { DeclaredDim, ModelBorders, TensorMap, ValueInfo } from '../formats/runner.ts';
import { elementCount } from '../weights/dtype.ts';
import type { TensorData } from '../weights/tensor-data.ts';
import { convertTensor, numbersOf } from '../weights/tensor-values.ts';
import { findSynonym, networkOf, optimumInput } from './tensor-names.ts';

/**
 * Recorded tensors as a model's inputs and outputs: found under either contract's name, in the model's dtype and layout,
 * so that one recording serves both an ONNX and a Core ML model.
 */

/**
 * What a model is fed from a bag of tensors. Throws `RequestError` naming the tensor that is missing, that has another
 * shape than the model declares, or that holds what the model's dtype cannot.
 */
export function feedsFor(model: ModelBorders, bag: TensorMap): TensorMap {
  const siblings = model.inputs.map(({ name }) => name);
  const sizes = new Map<string, BoundSize>();
  const feeds = model.inputs.map((input): [string, TensorData] => {
    const name = findSynonym('inputs', input.name, siblings, [...bag.keys()]);
    const tensor = name === undefined ? undefined : bag.get(name);
    if (name === undefined || !tensor) throw missingInput(model, input, bag);
    const laidOut = layouts[optimumInput(input.name)]?.(name, tensor, input, sizes) ?? tensor;
    checkShape(model, input, { name, shape: laidOut.shape, bag }, sizes);
    return [input.name, convertTensor(name, laidOut, input.dtype)];
  });
  return new Map(feeds);
}

/** The recorded values of a model's outputs, by the model's names; those the bag does not have are left out. */
export function recordedOutputs({ outputs }: ModelBorders, bag: TensorMap): TensorMap {
  const siblings = outputs.map(({ name }) => name);
  const found = siblings.flatMap((name): [string, TensorData][] => {
    const tensor = bag.get(findSynonym('outputs', name, siblings, [...bag.keys()]) ?? '');
    return tensor ? [[name, ONE_A_ROW.has(name) ? withRank(tensor, rankOf(name, outputs)) : tensor]] : [];
  });
  return new Map(found);
}

/** Outputs of one value for each row, to which Apple's models give more dimensions of one. */
const ONE_A_ROW: ReadonlySet<string> = new Set(['has_nsfw_concepts']);

function rankOf(name: string, infos: readonly ValueInfo[]): number {
  return infos.find((info) => info.name === name)?.dims.length ?? 0;
}

/** [B], [B,1], [B,1,1], … */
function withRank(tensor: TensorData, rank: number): TensorData {
  const [rows = 1, ...others] = tensor.shape;
  if (rank === 0 || others.some((size) => size !== 1)) return tensor;
  return { ...tensor, shape: [rows, ...Array<number>(rank - 1).fill(1)] };
}

/** No model is made for more rows, and a damaged number of them must not fill the memory. */
export const MOST_ROWS = 1024;

/** A free size, and the input that first had it. */
interface BoundSize {
  readonly size: number;
  readonly input: string;
}

/** Reshapes a tensor to the declared rank where its values stay the same; otherwise returns it unchanged. */
type Layout = (
  name: string,
  tensor: TensorData,
  input: ValueInfo,
  sizes: ReadonlyMap<string, BoundSize>,
) => TensorData;

const layouts: Readonly<Record<string, Layout>> = {
  /** One for all rows (rank 0) or one for each. */
  timestep(name, tensor, { dims }, sizes) {
    const values = [...new Set(Array.from(numbersOf(tensor)))];
    const [value] = values;
    if (dims.length > 1 || value === undefined) return tensor;
    if (values.length > 1) {
      if (dims.length === tensor.shape.length) return tensor;
      throw new RequestError({
        problem: `the model takes one ${name} for all rows, but the rows differ.`,
        details: { expected: 'equal values', found: values.join(', ') },
      });
    }
    const rows = (dim: DeclaredDim) =>
      typeof dim === 'number' ? dim : (sizes.get(dim)?.size ?? tensor.shape[0] ?? 1);
    const shape = dims.map(rows);
    if (shape.some((size) => size > MOST_ROWS)) return tensor;
    return { dtype: 'f64', shape, data: new Float64Array(elementCount(shape)).fill(value) };
  },

  /** One row for each picture, or as older Core ML models have it, all rows as one. */
  time_ids(_, tensor, { dims }) {
    if (dims.length === tensor.shape.length || !dims.every((dim) => typeof dim === 'number')) return tensor;
    return elementCount(dims) === elementCount(tensor.shape) ? { ...tensor, shape: dims } : tensor;
  },

  /** Tokens as optimum's [B,S,C] or as Apple's [B,C,1,S]. */
  encoder_hidden_states(_, tensor, { dims }) {
    const [batch = 0, second = 0, third = 0, fourth = 0] = tensor.shape;
    if (dims.length === 3 && tensor.shape.length === 4 && third === 1) {
      return { dtype: 'f64', shape: [batch, fourth, second], data: swapped(tensor, batch, second, fourth) };
    }
    if (dims.length === 4 && tensor.shape.length === 3) {
      return { dtype: 'f64', shape: [batch, third, 1, second], data: swapped(tensor, batch, second, third) };
    }
    return tensor;
  },
};

/** [batch, rows, columns] → [batch, columns, rows]. */
function swapped(
  tensor: TensorData,
  batch: number,
  rows: number,
  columns: number,
): Float64Array<ArrayBuffer> {
  const values = numbersOf(tensor);
  const result = new Float64Array(values.length);
  for (let matrix = 0; matrix < batch; matrix++) {
    const start = matrix * rows * columns;
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        result[start + column * rows + row] = values[start + row * columns + column] ?? 0;
      }
    }
  }
  return result;
}

/** Checks a tensor against the declared sizes; the first input with a free size sets it. */
function checkShape(
  model: ModelBorders,
  input: ValueInfo,
  { name, shape, bag }: { readonly name: string; readonly shape: readonly number[]; readonly bag: TensorMap },
  sizes: Map<string, BoundSize>,
): void {
  const refuse = (advice?: string) => {
    throw new RequestError({
      problem: otherNetwork(model, bag) ?? `${name} does not have the shape that ${model.path} takes.`,
      details: { expected: describe(input), found: `[${shape.join(', ')}]` },
      ...(advice && { advice }),
    });
  };
  if (shape.length !== input.dims.length) refuse();
  for (const [axis, dim] of input.dims.entries()) {
    const size = shape[axis] ?? 0;
    if (typeof dim === 'number') {
      if (size !== dim) refuse();
      continue;
    }
    if (size === 0) refuse(`Record it with something in it: ${dim || 'a size'} is 0.`);
    if (dim === '') continue; // a free size without a name
    const known = sizes.get(dim);
    if (known && known.size !== size)
      refuse(`${dim} is ${known.size} in ${known.input}; it must be the same in all.`);
    if (!known) sizes.set(dim, { size, input: input.name });
  }
}

function missingInput(model: ModelBorders, input: ValueInfo, bag: TensorMap): RequestError {
  const given = [...bag].map(([name, { shape }]) => `${name} [${shape.join(', ')}]`);
  return new RequestError({
    problem:
      otherNetwork(model, bag) ?? `${model.path} needs the input ${input.name}, which nothing provides.`,
    details: { expected: describe(input), found: given.join(', ') || 'no tensors' },
  });
}

/** Says of which network the tensors are, where their names tell that it is another one than the model; else `undefined`. */
function otherNetwork({ path, inputs }: ModelBorders, bag: TensorMap): string | undefined {
  const [own, given] = [inputs.map(({ name }) => name), [...bag.keys()]].map((names) => {
    const kind = networkOf(names);
    return kind && cardOf(kind).title;
  });
  if (own === undefined || given === undefined || own === given) return undefined;
  return `${path} is ${own}, and the tensors are those of ${given}.`;
}

function describe({ name, dtype, dims }: ValueInfo): string {
  return `${name} ${dtype} [${dims.join(', ')}]`;
}
