import { float16Bits } from '../../../weights/convert-dtype.ts';
import type { TensorStream } from '../../../weights/tensor-stream.ts';
import type { Attribute, Type } from '../program.ts';
import { ByteWriter } from './byte-writer.ts';
import { attributeCodes, choiceCodes, elementCodes, FREE, typeCodes } from './codes.ts';
import { Interned } from './interned.ts';

/** Tensors that lie in the file, with a name each. */
export interface NamedTensor {
  readonly name: string;
  readonly tensor: TensorStream;
}

/**
 * Numbers for all that a program refers to: equal things have one number, and are written once. What refers to something
 * comes after it.
 */
export class Numbering {
  readonly attributes = new Interned();
  readonly types = new Interned();
  readonly properties = new Interned();
  /** Numbers of what was met before: attributes hold others, which may stand in many places. */
  readonly #known = new Map<Attribute | Type, number>();
  readonly #strings = new Map<string, number>();
  readonly #operations = new Map<string, number>();
  readonly #resources = new Map<TensorStream['stream'], number>();
  readonly #tensors: NamedTensor[] = [];

  get strings(): readonly string[] {
    return [...this.#strings.keys()];
  }

  get operations(): readonly string[] {
    return [...this.#operations.keys()];
  }

  /** In the order in which they lie in the file, names unique: of two that have one name, runtimes give both the last. */
  get resources(): readonly NamedTensor[] {
    return this.#tensors;
  }

  string(text: string): number {
    return numberOf(this.#strings, text);
  }

  operation(name: string): number {
    return numberOf(this.#operations, name);
  }

  /** The number of a tensor; those with one stream lie in the file once. */
  resource(tensor: TensorStream): number {
    const number = numberOf(this.#resources, tensor.stream);
    if (number === this.#tensors.length) this.#tensors.push({ name: this.#unusedName(tensor.name), tensor });
    return number;
  }

  /** The attributes and types that a property lists; one that is optional is a number with a flag, or 0 where it is left out. */
  property(values: readonly (Attribute | undefined)[], isOptional: (position: number) => boolean): number {
    const write = new ByteWriter();
    for (const [position, value] of values.entries()) {
      if (!isOptional(position)) write.varint(this.attribute(required(value)));
      else if (value) write.flagged(this.attribute(value), true);
      else write.varint(0);
    }
    return this.properties.add(write.written);
  }

  type(type: Type): number {
    return this.#remembered(type, () => this.types.add(this.#encodeType(type)));
  }

  attribute(attribute: Attribute): number {
    return this.#remembered(attribute, () => {
      const code = attribute.kind === 'choice' ? choiceCodes[attribute.of] : attributeCodes[attribute.kind];
      const write = new ByteWriter().varint(code);
      this.#encode(attribute, write);
      return this.attributes.add(write.written);
    });
  }

  /** The number of the one place in a source that everything in a program is from: programs without any are refused. */
  location(): number {
    const { file, position, location } = attributeCodes;
    const write = new ByteWriter().varint(file);
    for (const text of ['-', '', '']) write.varint(this.string(text));
    const at = new ByteWriter().varint(position).varint(this.attributes.add(write.written));
    for (let i = 0; i < 4; i++) at.varint(0);
    const scope = this.attribute({ kind: 'unit' });
    const whole = new ByteWriter().varint(location).varint(this.attributes.add(at.written)).varint(scope);
    return this.attributes.add(whole.varint(0).varint(0).written);
  }

  #remembered(each: Attribute | Type, add: () => number): number {
    const number = this.#known.get(each) ?? add();
    this.#known.set(each, number);
    return number;
  }

  #encodeType(type: Type): Uint8Array {
    const write = new ByteWriter().varint(typeCodes[type.kind]);
    switch (type.kind) {
      case 'tensor': {
        const element = this.types.add(new ByteWriter().varint(elementCodes[type.element].code).written);
        write.list(type.shape, (size) => write.signed(size ?? FREE)).varint(element);
        break;
      }
      case 'function':
        for (const list of [type.results, type.inputs]) {
          const numbers = list.map((each) => this.type(each));
          write.list(numbers, (number) => write.varint(number));
        }
        break;
      case 'symbol':
    }
    return write.written;
  }

  #encode(attribute: Attribute, write: ByteWriter): ByteWriter {
    const varints = (numbers: readonly number[]) => write.list(numbers, (number) => write.varint(number));
    const items = (list: readonly Attribute[]) => varints(list.map((item) => this.attribute(item)));
    switch (attribute.kind) {
      case 'string':
        return write.varint(this.string(attribute.text));
      case 'integer':
        write.varint(attribute.width).byte(Number(attribute.unsigned));
        return attribute.width <= 8
          ? write.byte(Number(attribute.value) & 0xff)
          : write.signed(attribute.value);
      case 'float':
        return write.varint(attribute.width).signed(floatBits(attribute));
      case 'type':
        return write.varint(this.type(attribute.type));
      case 'array':
      case 'dictionary':
        return items(attribute.items);
      case 'tensor':
        return write.byte(Number(attribute.splat)).varint(attribute.bytes.length).bytes(attribute.bytes);
      case 'resource':
        return write.varint(this.resource(attribute.tensor));
      case 'named':
        write.varint(this.string(attribute.name));
        return items(attribute.values);
      case 'symbol': {
        const path = attribute.path.map((name) => this.string(name));
        return varints(path);
      }
      case 'parameter':
        return write.varint(this.attribute(attribute.value)).varint(this.type(attribute.type));
      case 'choice':
        return write.varint(attribute.value);
      case 'unit':
        return write;
    }
  }

  #unusedName(wanted: string): string {
    let name = wanted;
    for (let copy = 2; this.#names.has(name); copy++) name = `${wanted}_${copy}`;
    this.#names.add(name);
    return name;
  }

  readonly #names = new Set<string>();
}

function numberOf<K>(numbers: Map<K, number>, key: K): number {
  const number = numbers.get(key) ?? numbers.size;
  numbers.set(key, number);
  return number;
}

function required(attribute: Attribute | undefined): Attribute {
  if (!attribute) throw new Error('an operation lacks a property');
  return attribute;
}

/** The bits of a fraction as a whole number with its sign. */
function floatBits({ width, value }: Extract<Attribute, { kind: 'float' }>): number | bigint {
  if (width === 16) return Int16Array.of(float16Bits(value))[0] ?? 0;
  if (width === 32) return new Int32Array(Float32Array.of(value).buffer)[0] ?? 0;
  return new BigInt64Array(Float64Array.of(value).buffer)[0] ?? 0n;
}
