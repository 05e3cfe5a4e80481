import type { ConstantData } from '../../graph/op.ts';
import { float16Bits } from '../../weights/convert-dtype.ts';
import type { DType } from '../../weights/dtype.ts';
import { type AttributeProto, AttributeType, dataTypes, type NodeProto, type TensorProto } from './proto.ts';

/** A value of a node's attribute; a whole number is an `int`, one made by `OnnxWriter.float` a `float`. */
type AttributeValue = number | string | readonly number[] | Float;

interface Float {
  readonly float: number;
}

/** Collects nodes and the small initializers they need. */
export class OnnxWriter {
  readonly nodes: NodeProto[] = [];
  readonly initializers: TensorProto[] = [];
  readonly #constants = new Map<string, string>();
  readonly #rename: (name: string) => string;

  /** `rename` gives a tensor's name in the file. */
  constructor(rename: (name: string) => string) {
    this.#rename = rename;
  }

  /** Adds a node that computes the tensor `output`. */
  node(
    opType: string,
    inputs: readonly string[],
    output: string,
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): void {
    this.nodes.push(onnxNode(opType, inputs, this.#rename(output), attributes));
  }

  /** Adds a node whose result only the next node reads, and gives its name. */
  node1(
    opType: string,
    inputs: readonly string[],
    output: string,
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): string {
    this.node(opType, inputs, output, attributes);
    return this.#rename(output);
  }

  /** Marks a number as an attribute of type float. */
  float(value: number): Float {
    return { float: value };
  }

  /** The code of a dtype. */
  dataType(dtype: DType): number {
    return dataTypes[dtype];
  }

  /** The name of an initializer [n] of int64 with these values. */
  int64s(values: readonly number[]): string {
    return this.#shared('int64', values, (name) => ({
      name,
      dims: [values.length],
      dataType: dataTypes.i64,
      rawData: bytes(BigInt64Array.from(values, BigInt)),
    }));
  }

  /** The name of an initializer [n] of float32 with these values. */
  float32s(values: readonly number[]): string {
    return this.#shared('float32', values, (name) => ({
      name,
      dims: [values.length],
      dataType: dataTypes.f32,
      rawData: bytes(Float32Array.from(values)),
    }));
  }

  /** Adds an initializer with the numbers of a graph's constant. */
  constant(name: string, data: ConstantData, dtype: DType, dims: readonly number[]): void {
    const rawData = bytes(dtype === 'f16' ? Uint16Array.from(data, float16Bits) : data);
    this.initializers.push({
      name: this.#rename(name),
      dims: [...dims],
      dataType: dataTypes[dtype],
      rawData,
    });
  }

  #shared(type: string, values: readonly number[], make: (name: string) => TensorProto): string {
    const name = `${type}[${values.join(',')}]`;
    if (!this.#constants.has(name)) {
      this.#constants.set(name, name);
      this.initializers.push(make(name));
    }
    return name;
  }
}

/** A node with one output. */
export function onnxNode(
  opType: string,
  inputs: readonly string[],
  output: string,
  attributes: Readonly<Record<string, AttributeValue>> = {},
): NodeProto {
  const attribute = Object.entries(attributes).map(([key, value]) => attributeProto(key, value));
  return { opType, name: `${output}/${opType}`, input: [...inputs], output: [output], attribute };
}

function attributeProto(name: string, value: AttributeValue): AttributeProto {
  if (typeof value === 'number') return { name, type: AttributeType.INT, i: value };
  if (typeof value === 'string')
    return { name, type: AttributeType.STRING, s: new TextEncoder().encode(value) };
  if ('float' in value) return { name, type: AttributeType.FLOAT, f: value.float };
  return { name, type: AttributeType.INTS, ints: [...value] };
}

function bytes(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
