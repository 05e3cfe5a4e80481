import { float16Value } from '../../../weights/convert-dtype.ts';
import {
  type Attribute,
  type Choice,
  type Element,
  elements,
  type TensorType,
  type Type,
} from '../program.ts';
import { ByteReader, checkName, MalformedError, NotReadError, pick } from './byte-reader.ts';
import { attributeCodes, choiceCodes, elementCodes, FREE, typeCodes } from './codes.ts';
import type { Container } from './read-container.ts';

/** Attributes that hold others, one within another; those of a program are 5 deep. */
const DEEPEST = 32;

/** Most dimensions of a tensor: more than any operation takes. */
const MOST_DIMENSIONS = 16;

/** The attributes and types of a program by their numbers, decoded when they are first asked for. */
export class Attributes {
  readonly #container: Container;
  readonly #attributes: (Attribute | undefined)[] = [];
  readonly #types: (Type | undefined)[] = [];
  #depth = 0;

  constructor(container: Container) {
    this.#container = container;
  }

  /** Throws `MalformedError` for one that contradicts itself, and for one of a kind that is not known. */
  attribute(index: number): Attribute {
    const known = this.#attributes[index];
    if (known) return known;
    const bytes = pick(this.#container.attributes, index, 'attribute');
    const read = this.#within(bytes, (reader) => this.#readAttribute(reader));
    this.#attributes[index] = read;
    return read;
  }

  type(index: number): Type {
    const known = this.#types[index];
    if (known) return known;
    const bytes = pick(this.#container.types, index, 'type');
    const read = this.#within(bytes, (reader) => this.#readType(reader));
    this.#types[index] = read;
    return read;
  }

  /** The type of a value. Throws `MalformedError` for one that is no tensor. */
  tensorType(index: number): TensorType {
    const type = this.type(index);
    if (type.kind !== 'tensor') throw new NotReadError(`values that are no tensors but a ${type.kind}`);
    return type;
  }

  /** Reads one that may hold others; it must not hold itself. */
  #within<T>(bytes: Uint8Array, read: (reader: ByteReader) => T): T {
    if (this.#depth === DEEPEST) throw new MalformedError('an attribute in it holds others without end');
    this.#depth++;
    const reader = new ByteReader(bytes);
    const found = read(reader);
    this.#depth--;
    if (reader.left > 0) throw new MalformedError('an attribute in it is longer than its kind is');
    return found;
  }

  #readAttribute(reader: ByteReader): Attribute {
    const code = reader.varint();
    const text = () => pick(this.#container.strings, reader.varint(), 'text');
    const attribute = () => this.attribute(reader.varint());
    switch (code) {
      case attributeCodes.string:
        return { kind: 'string', text: text() };
      case attributeCodes.integer:
        return readInteger(reader);
      case attributeCodes.float:
        return readFloat(reader);
      case attributeCodes.type:
        return { kind: 'type', type: this.type(reader.varint()) };
      case attributeCodes.array:
        return { kind: 'array', items: reader.list(attribute) };
      case attributeCodes.tensor: {
        const splat = reader.byte() !== 0;
        return { kind: 'tensor', splat, bytes: reader.bytes(reader.varint()) };
      }
      case attributeCodes.resource:
        return { kind: 'resource', tensor: pick(this.#container.resources, reader.varint(), 'weight') };
      case attributeCodes.named:
        return { kind: 'named', name: text(), values: reader.list(attribute) };
      case attributeCodes.symbol:
        return readSymbol(reader.list(text));
      case attributeCodes.parameter:
        return { kind: 'parameter', value: attribute(), type: this.type(reader.varint()) };
      case attributeCodes.dictionary:
        return { kind: 'dictionary', items: reader.list(attribute) };
      case attributeCodes.unit:
        return { kind: 'unit' };
      default:
        return readChoice(reader, code);
    }
  }

  #readType(reader: ByteReader): Type {
    const code = reader.varint();
    switch (code) {
      case typeCodes.tensor: {
        const shape = reader.list(() => readSize(reader));
        if (shape.length > MOST_DIMENSIONS)
          throw new MalformedError(`a tensor in it has ${shape.length} dimensions`);
        return { kind: 'tensor', shape, element: this.#element(reader.varint()) };
      }
      case typeCodes.function: {
        const [results, inputs] = [0, 1].map(() => reader.list(() => this.type(reader.varint())));
        return { kind: 'function', inputs: inputs ?? [], results: results ?? [] };
      }
      case typeCodes.symbol:
        return { kind: 'symbol' };
      default:
        throw new NotReadError(`values of type ${code}`);
    }
  }

  /** An element type is a type of its own, without further bytes. */
  #element(index: number): Element {
    const code = new ByteReader(pick(this.#container.types, index, 'type')).varint();
    const element = elements.find((each) => elementCodes[each].code === code);
    if (!element) throw new NotReadError(`elements of type ${code}`);
    return element;
  }
}

/** Parts of the name of a graph; known ones have one. */
const MOST_PARTS = 4;

function readSymbol(path: readonly string[]): Attribute {
  if (path.length > MOST_PARTS) throw new MalformedError(`a name in it has ${path.length} parts`);
  return { kind: 'symbol', path: path.map(checkName) };
}

/** Numbers of up to 8 bits are one byte as it is; those of one bit are truths. */
function readInteger(reader: ByteReader): Attribute {
  const width = reader.varint();
  if (width > 64) throw new MalformedError(`a number in it has ${width} bits`);
  const unsigned = reader.byte() !== 0;
  const bits = width <= 8 ? BigInt(reader.byte()) : reader.signed();
  const value = unsigned || width <= 1 ? BigInt.asUintN(width, bits) : BigInt.asIntN(width, bits);
  return { kind: 'integer', width, unsigned, value };
}

function readFloat(reader: ByteReader): Attribute {
  const width = reader.varint();
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, reader.bits(), true);
  switch (width) {
    case 16:
      return { kind: 'float', width, value: float16Value(view.getUint16(0, true)) };
    case 32:
      return { kind: 'float', width, value: view.getFloat32(0, true) };
    case 64:
      return { kind: 'float', width, value: view.getFloat64(0, true) };
    default:
      throw new MalformedError(`a fraction in it has ${width} bits`);
  }
}

function readChoice(reader: ByteReader, code: number): Attribute {
  // as: Object.entries gives strings; the table's keys are choices.
  for (const [of, known] of Object.entries(choiceCodes))
    if (known === code) return { kind: 'choice', of: of as Choice, value: reader.varint() };
  throw new NotReadError(`attributes of kind ${code}`);
}

function readSize(reader: ByteReader): number | undefined {
  const size = reader.signed();
  if (size === FREE) return undefined;
  if (size < 0n || size > BigInt(Number.MAX_SAFE_INTEGER))
    throw new MalformedError(`a size in it is ${size}`);
  return Number(size);
}
