import type { Attribute, Operation, Region, Value } from '../program.ts';
import { ByteReader, MalformedError, NotReadError, pick } from './byte-reader.ts';
import { follows, sectionIds } from './codes.ts';
import { isOptionalProperty } from './graph-properties.ts';
import { Attributes } from './read-attributes.ts';
import type { Container } from './read-container.ts';

/** Regions in regions: a graph, a composite operation, a reduction and what it sums with make four. */
const DEEPEST = 16;

/** More properties than any operation has: many operations may have the same ones. */
const MOST_PROPERTIES = 16;

/** Reads the operations of a program from its block, a value at a time. */
export class OperationReader {
  readonly #container: Container;
  readonly #attributes: Attributes;

  constructor(container: Container) {
    this.#container = container;
    this.#attributes = new Attributes(container);
  }

  /** The operation that is the whole program. Throws `MalformedError`, and `NotReadError` for what Core AI's own tools do not write. */
  whole(): Operation {
    const reader = new ByteReader(this.#container.program);
    const { operations } = this.#block(reader, [], 0);
    const [operation] = operations;
    if (!operation || operations.length > 1 || reader.left > 0)
      throw new MalformedError('it does not consist of one program');
    return operation;
  }

  /** A block of operations; `values` are those defined so far, in the order of their numbers. */
  #block(reader: ByteReader, values: Value[], depth: number): Region {
    const head = reader.varint();
    const argumentsOf = head % 2 === 1 ? this.#arguments(reader) : [];
    for (const value of argumentsOf) values.push(value);
    const operations = reader.times(Math.floor(head / 2), () => this.#operation(reader, values, depth));
    return { arguments: argumentsOf, operations };
  }

  #arguments(reader: ByteReader): Value[] {
    const found = reader.list(() => {
      const type = reader.varint();
      if (type % 2 === 1) reader.varint(); // the location
      return { type: this.#attributes.tensorType(Math.floor(type / 2)) };
    });
    if (reader.byte() !== 0) throw new NotReadError('values whose uses are in another order');
    return found;
  }

  #operation(reader: ByteReader, values: Value[], depth: number): Operation {
    const name = pick(this.#container.operations, reader.varint(), 'operation');
    const mask = reader.byte();
    if (mask & (follows.successors | follows.uses))
      throw new NotReadError('operations that jump, or whose uses are in another order');
    reader.varint(); // the location
    if (mask & follows.attributes) reader.varint();
    const properties = mask & follows.properties ? this.#properties(name, reader.varint()) : [];
    const types =
      mask & follows.results ? reader.list(() => this.#attributes.tensorType(reader.varint())) : [];
    const operands = mask & follows.operands ? reader.list(() => pick(values, reader.varint(), 'value')) : [];
    const regions = mask & follows.regions ? this.#regions(reader, depth) : [];
    const results = types.map((type) => ({ type }));
    for (const value of results) values.push(value);
    return { name, operands, results, properties, regions };
  }

  #regions(reader: ByteReader, depth: number): Region[] {
    if (depth === DEEPEST) throw new MalformedError('operations in it hold others without end');
    const head = reader.varint();
    if (head % 2 === 0) throw new NotReadError('operations that see the values around them');
    return reader.times(Math.floor(head / 2), () => {
      if (reader.byte() !== sectionIds.program)
        throw new MalformedError('an operation in it has no body where it says so');
      const inner = new ByteReader(reader.bytes(reader.varint()));
      if (inner.varint() !== 1) throw new NotReadError('operations with another number of blocks than one');
      inner.varint(); // the number of values
      const region = this.#block(inner, [], depth + 1);
      if (inner.left > 0)
        throw new MalformedError('the body of an operation in it is longer than its operations');
      return region;
    });
  }

  /** Those of an operation that is not known are left out: which of them may be missing is not known either. */
  #properties(name: string, index: number): (Attribute | undefined)[] {
    const reader = new ByteReader(pick(this.#container.properties, index, 'properties'));
    const properties: (Attribute | undefined)[] = [];
    while (knownProperties.has(name) && reader.left > 0) {
      if (properties.length === MOST_PROPERTIES)
        throw new MalformedError('an operation in it has properties without end');
      const number = reader.varint();
      if (!isOptionalProperty(name, properties.length)) properties.push(this.#attributes.attribute(number));
      else properties.push(number === 0 ? undefined : this.#attributes.attribute(Math.floor(number / 2)));
    }
    return properties;
  }
}

/** Operations whose properties are read. */
const knownProperties: ReadonlySet<string> = new Set([
  'serialization.asset',
  'dataflow.graph_v1',
  'dataflow.invoke_v1',
  'primitive.constant_v1',
  'primitive.pad_v1',
  'primitive.gelu_v1',
  'primitive.interpolate_v1',
]);
