import { memoryStream } from '../../../weights/tensor-stream.ts';
import type { FilePart } from '../../artifact.ts';
import type { Attribute, Operation, Port, Program, ProgramGraph, Region, Value } from '../program.ts';
import { ByteWriter } from './byte-writer.ts';
import { DIALECT, ENCODING, follows, MAGIC, sectionIds } from './codes.ts';
import { graphProperties, isOptionalProperty } from './graph-properties.ts';
import { type NamedTensor, Numbering } from './numbering.ts';

/**
 * Lays out the file of a program: MLIR's bytecode (https://mlir.llvm.org/docs/BytecodeFormat/) with the dialect of Core AI.
 * All sizes are known before a weight is read, so the file is written from beginning to end, weights between its parts.
 */
export interface LaidOutProgram {
  readonly byteLength: number;
  /** In the order of their offsets, without gaps. */
  readonly parts: readonly FilePart[];
}

/** The version of the bytecode. */
const VERSION = 6;
/** Runtimes take any; MLIR's own readers expect its spelling. */
const PRODUCER = 'MLIR22.0.0git';

/** Runtimes read small files into memory that is aligned to this many bytes, and refuse a larger alignment. */
const ALIGNMENT = 16;
const PADDING = 0xcb;

export function layOutProgram(program: Program): LaidOutProgram {
  const numbers = new Numbering();
  const encoder = new OperationEncoder(numbers);
  const operations = encoder.top(program);
  const front = new ByteWriter().bytes(MAGIC).varint(VERSION);
  front.bytes(utf8(PRODUCER)).byte(0);
  addSection(front, sectionIds.dialects, dialects(numbers));
  addSection(front, sectionIds.entrySizes, entrySizes(numbers));
  addSection(front, sectionIds.entries, joined([...numbers.attributes.all, ...numbers.types.all]));
  addSection(front, sectionIds.program, operations);
  const { keys, blobs, byteLength } = layOutResources(numbers);
  addSection(front, sectionIds.resourceSizes, keys);
  front
    .byte(sectionIds.resources | 0x80)
    .varint(byteLength)
    .varint(ALIGNMENT);
  while (front.length % ALIGNMENT !== 0) front.byte(PADDING);
  const back = new ByteWriter();
  addSection(back, sectionIds.strings, strings(numbers.strings));
  addSection(back, sectionIds.properties, properties(numbers));
  const start = front.length;
  const end = start + byteLength;
  return {
    byteLength: end + back.length,
    parts: [
      { offset: 0, tensor: memoryStream('the beginning of main.mlirb', front.written) },
      ...blobs.map(({ offset, tensor }) => ({ offset: start + offset, tensor })),
      { offset: end, tensor: memoryStream('the end of main.mlirb', back.written) },
    ],
  };
}

/** Encodes operations, and numbers what they refer to. */
class OperationEncoder {
  readonly #numbers: Numbering;
  readonly #location: number;

  constructor(numbers: Numbering) {
    this.#numbers = numbers;
    this.#location = numbers.location();
  }

  /** The block that holds the program's one operation, in which everything is. */
  top({ stamp, graphs }: Program): Uint8Array {
    const date: Attribute = { kind: 'integer', width: 32, unsigned: true, value: BigInt(stamp) };
    const inner = new ByteWriter();
    for (const graph of graphs) {
      const properties = graphProperties(graph);
      const name = 'dataflow.graph_v1';
      this.#operation(inner, { name, operands: [], results: [], properties, regions: [bodyOf(graph)] }, none);
    }
    const region = new ByteWriter().varint(1).varint(0).flagged(graphs.length, false).bytes(inner.written);
    const block = new ByteWriter().flagged(1, false);
    this.#head(block, 'serialization.asset', follows.properties | follows.regions, [undefined, date]);
    addSection(block.flagged(1, true), sectionIds.program, region.written);
    return block.written;
  }

  #head(
    write: ByteWriter,
    name: string,
    parts: number,
    properties: readonly (Attribute | undefined)[],
  ): void {
    write.varint(this.#numbers.operation(name)).byte(parts).varint(this.#location);
    if (parts & follows.properties)
      write.varint(this.#numbers.property(properties, (at) => isOptionalProperty(name, at)));
  }

  #operation(
    write: ByteWriter,
    { name, operands, results, properties, regions }: Operation,
    numberOf: (value: Value) => number,
  ): void {
    const parts =
      (results.length > 0 ? follows.results : 0) |
      (operands.length > 0 ? follows.operands : 0) |
      (regions.length > 0 ? follows.regions : 0) |
      (properties.length > 0 ? follows.properties : 0);
    this.#head(write, name, parts, properties);
    if (results.length > 0) write.list(results, ({ type }) => write.varint(this.#numbers.type(type)));
    if (operands.length > 0) write.list(operands, (value) => write.varint(numberOf(value)));
    if (regions.length > 0) write.flagged(regions.length, true);
    for (const region of regions) addSection(write, sectionIds.program, this.#region(region));
  }

  /** A region with one block; its values are numbered from its arguments on. */
  #region({ arguments: given, operations }: Region): Uint8Array {
    const values = new Map<Value, number>();
    for (const value of given) values.set(value, values.size);
    const inner = new ByteWriter();
    for (const operation of operations) {
      this.#operation(inner, operation, (value) => {
        const number = values.get(value);
        if (number === undefined) throw new Error(`${operation.name} reads a value that nothing gave before`);
        return number;
      });
      for (const value of operation.results) values.set(value, values.size);
    }
    const write = new ByteWriter().varint(1).varint(values.size);
    write.flagged(operations.length, given.length > 0);
    if (given.length > 0) {
      write.list(given, ({ type }) => {
        write.flagged(this.#numbers.type(type), true).varint(this.#location);
      });
      write.byte(0); // no order of uses
    }
    return write.bytes(inner.written).written;
  }
}

function none(): never {
  throw new Error('a graph reads no value');
}

function bodyOf({ inputs, outputs, operations }: ProgramGraph): Region {
  const valuesOf = (ports: readonly Port[]) => ports.map(({ value }) => value);
  const output: Operation = {
    name: 'dataflow.output_v1',
    operands: valuesOf(outputs),
    results: [],
    properties: [],
    regions: [],
  };
  return { arguments: valuesOf(inputs), operations: [...operations, output] };
}

function addSection(write: ByteWriter, id: number, bytes: Uint8Array): void {
  write.byte(id).varint(bytes.length).bytes(bytes);
}

function dialects(numbers: Numbering): Uint8Array {
  const write = new ByteWriter().varint(1).flagged(numbers.string(DIALECT), true);
  addSection(write, sectionIds.dialectVersion, new ByteWriter().varint(ENCODING).written);
  write.varint(numbers.operations.length).varint(0);
  return write.list(numbers.operations, (name) => write.flagged(numbers.string(name), true)).written;
}

function entrySizes({ attributes, types }: Numbering): Uint8Array {
  const write = new ByteWriter().varint(attributes.all.length).varint(types.all.length);
  for (const { all } of [attributes, types])
    write.varint(0).list(all, ({ length }) => write.flagged(length, true));
  return write.written;
}

function strings(texts: readonly string[]): Uint8Array {
  const encoded = texts.map(utf8);
  const write = new ByteWriter();
  write.list(encoded.toReversed(), ({ length }) => write.varint(length + 1));
  for (const text of encoded) write.bytes(text).byte(0);
  return write.written;
}

function properties(numbers: Numbering): Uint8Array {
  const { all } = numbers.properties;
  const write = new ByteWriter();
  return write.list(all, (bytes) => write.varint(bytes.length).bytes(bytes)).written;
}

/** The tensors in the file, each behind its size and padding, which make it begin where it can be mapped. */
function layOutResources(numbers: Numbering): {
  readonly keys: Uint8Array;
  readonly blobs: readonly FilePart[];
  readonly byteLength: number;
} {
  const keys = new ByteWriter().varint(0);
  const { resources } = numbers;
  if (resources.length > 0) keys.varint(0).varint(resources.length);
  const blobs: FilePart[] = [];
  let end = 0;
  for (const { name, tensor } of resources) {
    const head = blobHead(tensor, end);
    blobs.push({ offset: end, tensor: memoryStream(`what comes before ${tensor.name}`, head) });
    blobs.push({ offset: end + head.length, tensor });
    const byteLength = head.length + tensor.byteLength;
    keys.varint(numbers.string(name)).varint(byteLength).byte(0);
    end += byteLength;
  }
  return { keys: keys.written, blobs, byteLength: end };
}

function blobHead({ byteLength }: NamedTensor['tensor'], offset: number): Uint8Array {
  const write = new ByteWriter().varint(ALIGNMENT).varint(byteLength);
  while ((offset + write.length) % ALIGNMENT !== 0) write.byte(PADDING);
  return write.written;
}

function joined(all: readonly Uint8Array[]): Uint8Array {
  const write = new ByteWriter();
  for (const bytes of all) write.bytes(bytes);
  return write.written;
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
