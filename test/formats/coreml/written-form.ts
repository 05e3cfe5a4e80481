import { buildCoreMl } from '../../../src/formats/coreml/build/build-model.ts';
import type { DeploymentTarget } from '../../../src/formats/coreml/deployment-target.ts';
import { milDTypeOf } from '../../../src/formats/coreml/mil/mil-dtype.ts';
import { readElements } from '../../../src/formats/coreml/mil/mil-elements.ts';
import type { Block, Operation, Value, ValueType } from '../../../src/formats/coreml/mil/mil-schema.ts';
import { layOut } from '../../../src/formats/coreml/package/lay-out.ts';
import { type Graph, GraphBuilder } from '../../../src/graph/graph.ts';
import type { Tensor, TensorType } from '../../../src/graph/tensor.ts';
import type { DType } from '../../../src/weights/dtype.ts';
import type { Weight } from '../../../src/weights/weight.ts';

export const someDescription = {
  shortDescription: 'A test',
  author: 'nobody',
  license: 'none',
  version: '1',
  features: {},
  userDefined: {},
};

/** A weight of zeros that must not be read. */
export function unreadWeight(name: string, shape: readonly number[], dtype: DType = 'f16'): Weight {
  return {
    name,
    dtype,
    shape,
    file: 'memory',
    stream() {
      throw new Error(`${name} was read`);
    },
  };
}

/** A graph with these inputs and one output, `y`. */
export function graphOf<Inputs extends Readonly<Record<string, TensorType>>>(
  types: Inputs,
  compute: (inputs: { readonly [K in keyof Inputs]: Tensor }, builder: GraphBuilder) => Tensor,
): Graph {
  const builder = new GraphBuilder();
  const inputs = Object.entries(types).map(([name, type]) => [name, builder.input(name, type)]);
  // as: `fromEntries` forgets which names there were.
  const tensors = Object.fromEntries(inputs) as { readonly [K in keyof Inputs]: Tensor };
  return builder.finish([{ name: 'y', tensor: compute(tensors, builder) }]);
}

export function blockOf(graph: Graph, target: DeploymentTarget = 'macOS13'): Block {
  // All bits set are no number, in float32 and in float16.
  const unread = ({ byteLength }: { readonly byteLength: number }) => new Uint8Array(byteLength).fill(0xff);
  const { message } = layOut(buildCoreMl(graph, { target, description: someDescription }), unread);
  const [block] = Object.values(message.mlProgram?.functions.main?.block_specializations ?? {});
  if (!block) throw new Error('there is no block');
  return block;
}

/**
 * The operations of a graph's program but its constants, one a line, parameters in the order of their names and
 * constants by their values: `y = softmax(axis=int32 1, x=x): fp16 [2, 4]`.
 */
export function writtenForm(graph: Graph, target: DeploymentTarget = 'macOS13'): string {
  const constants = new Map<string, string>();
  const lines: string[] = [];
  for (const operation of blockOf(graph, target).operations) {
    const [output] = operation.outputs;
    if (operation.type === 'const') constants.set(output?.name ?? '', printValue(operation.attributes.val));
    else lines.push(printOperation(operation, constants));
  }
  return lines.join('\n');
}

function printOperation(
  { type, inputs, outputs }: Operation,
  constants: ReadonlyMap<string, string>,
): string {
  const parameters = Object.entries(inputs)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, { arguments: bindings }]) => {
      const values = bindings.map(({ name = '?' }) => constants.get(name) ?? name);
      return `${key}=${values.length === 1 ? values[0] : `(${values.join(', ')})`}`;
    });
  return outputs
    .map(({ name, type: of }) => `${name} = ${type}(${parameters.join(', ')}): ${printType(of)}`)
    .join('\n');
}

function printType(type: ValueType | null): string {
  const { dtype, shape } = tensorOf(type);
  return `${dtype} [${shape.join(', ')}]`;
}

function printValue(value: Value | undefined): string {
  const { dtype, shape } = tensorOf(value?.type ?? null);
  if (value?.blobFileValue) return `${dtype} [${shape.join(', ')}] in the file`;
  const count = shape.reduce((a, b) => a * b, 1);
  const elements = readElements(dtype, count, value?.immediateValue?.tensor ?? {}) ?? [];
  if (elements.some(Number.isNaN)) return `${dtype} [${shape.join(', ')}] in the program`;
  const printed = elements.map((element) => JSON.stringify(element)).join(', ');
  if (dtype === 'string' || dtype === 'bool') return printed;
  if (shape.length === 0) return `${dtype} ${printed}`;
  return shape.length === 1 ? `${dtype} [${printed}]` : `${dtype} [${shape.join(', ')}] of ${printed}`;
}

function tensorOf(type: ValueType | null) {
  const tensor = type?.tensorType;
  const dtype = milDTypeOf(tensor?.dataType ?? 0);
  if (!tensor || !dtype || tensor.rank !== tensor.dimensions.length) throw new Error('not a tensor');
  return { dtype, shape: tensor.dimensions.map(({ constant }) => constant?.size ?? Number.NaN) };
}
