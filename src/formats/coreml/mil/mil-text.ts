import { formatHexFloat } from './hex-float.ts';
import { type MilDType, milElement } from './mil-dtype.ts';
import { isFraction } from './mil-elements.ts';
import { iosOfOpset } from './mil-opset.ts';
import { immediateElements, programFunctions, tensorTypeOf } from './mil-program.ts';
import type {
  Argument,
  Dimension,
  MilFunction,
  NamedValueType,
  Operation,
  Program,
  Value,
  ValueType,
} from './mil-schema.ts';

/** The parts of an ML Program's text that are not in the program. */
export interface MilTextOptions {
  readonly specificationVersion: number;
  /** Entries for `buildInfo` about the writer of the text, beside those of the program. */
  readonly buildInfo: Readonly<Record<string, string>>;
  /** Attributes for a function, beside its own. */
  functionAttributes(functionName: string): Readonly<Record<string, Value>>;
}

/**
 * The text of a verified ML Program, piece by piece, as Apple's compiler writes it to `model.mil`: operations in their
 * order, everything that has a name sorted by it. From specification version 9 on scalars are `int32(1)`, before that
 * `tensor<int32, []>(1)`.
 */
export function* printMilProgram(program: Program, options: MilTextOptions): Generator<string> {
  const print = new MilPrinter(options.specificationVersion >= 9);
  yield `program(${options.specificationVersion >= 9 ? '1.3' : '1.0'})\n`;
  yield `${print.buildInfo(program, options.buildInfo)}\n{\n`;
  for (const { name, function: fn, block } of programFunctions(program)) {
    yield print.signature(name, fn, options.functionAttributes(name));
    for (const operation of block.operations) yield print.operation(operation);
    yield `        } -> (${block.outputs.join(', ')});\n`;
  }
  yield '}';
}

class MilPrinter {
  readonly #hasScalars: boolean;

  constructor(hasScalars: boolean) {
    this.#hasScalars = hasScalars;
  }

  buildInfo(program: Program, own: Readonly<Record<string, string>>): string {
    const { buildInfo } = program.attributes;
    const entries = new Map<string, string>();
    for (const { key, value } of buildInfo?.immediateValue?.dictionary?.values ?? []) {
      if (key && value) entries.set(this.#literal(key), this.#literal(value));
    }
    for (const [key, value] of Object.entries(own)) entries.set(quote(key), quote(value));
    const text = this.#type(scalar('string'));
    return `[buildInfo = dict<${text}, ${text}>(${dictionary([...entries])})]`;
  }

  signature(name: string, fn: MilFunction, attributes: Readonly<Record<string, Value>>): string {
    const inputs = fn.inputs.toSorted((a, b) => order(a.name, b.name)).map((input) => this.#named(input));
    const shown = this.#attributes({ ...fn.attributes, ...attributes });
    return `    func ${name}<ios${iosOfOpset(fn.opset)}>(${inputs.join(', ')})${shown && ` ${shown}`} {\n`;
  }

  operation({ type, inputs, outputs, attributes }: Operation): string {
    const results = outputs.map((output) => this.#named(output)).join(', ');
    const parameters = sorted(inputs).map(([name, argument]) => `${name} = ${this.#argument(argument)}`);
    return `            ${results}${results && ' = '}${type}(${parameters.join(', ')})${this.#attributes(attributes)};\n`;
  }

  #named({ name, type }: NamedValueType): string {
    return `${this.#type(type)} ${name}`;
  }

  #attributes(attributes: Readonly<Record<string, Value>>): string {
    const entries = sorted(attributes).map(([name, value]) => `${name} = ${this.#value(value)}`);
    return entries.length ? `[${entries.join(', ')}]` : '';
  }

  #argument({ arguments: bindings }: Argument): string {
    const texts = bindings.map(({ name, value }) => name ?? (value ? this.#value(value) : ''));
    return texts.length === 1 ? texts.join() : `(${texts.join(', ')})`;
  }

  #value(value: Value): string {
    const type = this.#type(value.type);
    if (!value.blobFileValue) return `${type}(${this.#literal(value)})`;
    const { fileName, offset } = value.blobFileValue;
    const path = `${this.#type(scalar('string'))}(${quote(fileName)})`;
    return `${type}(BLOBFILE(path = ${path}, offset = ${this.#type(scalar('uint64'))}(${offset})))`;
  }

  #literal(value: Value): string {
    const { tuple, list, dictionary: map } = value.immediateValue ?? {};
    if (tuple) return `(${tuple.values.map((each) => this.#literal(each)).join(', ')})`;
    if (list) return `[${list.values.map((each) => this.#literal(each)).join(', ')}]`;
    if (map) {
      const literalOf = (each: Value | null): string => (each ? this.#literal(each) : '');
      return dictionary(map.values.map((entry) => [literalOf(entry.key), literalOf(entry.value)]));
    }
    return tensorLiteral(value);
  }

  #type(type: ValueType | null): string {
    const { tensorType, listType, tupleType, dictionaryType, stateType } = type ?? {};
    if (listType) return `list<${this.#type(listType.type)}, ${dimension(listType.length)}>`;
    if (tupleType) return `tuple<${tupleType.types.map((each) => this.#type(each)).join(', ')}>`;
    if (dictionaryType)
      return `dict<${this.#type(dictionaryType.keyType)}, ${this.#type(dictionaryType.valueType)}>`;
    if (stateType) return `state<${this.#type(stateType.wrappedType)}>`;
    const tensor = tensorTypeOf(type);
    if (!tensorType || !tensor) throw new Error('a type is not known');
    if (this.#hasScalars && tensor.shape.length === 0) return tensor.dtype;
    return `tensor<${tensor.dtype}, [${tensorType.dimensions.map(dimension).join(', ')}]>`;
  }
}

function dimension(dimension: Dimension | null): string {
  return dimension?.constant ? String(dimension.constant.size) : '?';
}

function scalar(dtype: MilDType): ValueType {
  return { tensorType: { dataType: milElement(dtype).code, rank: 0, dimensions: [], attributes: {} } };
}

function tensorLiteral(value: Value): string {
  const tensor = tensorTypeOf(value.type);
  const elements = tensor && immediateElements(value);
  if (!elements) throw new Error('a literal does not have the elements of its type');
  const texts = elements.map((element) => {
    if (typeof element === 'string') return quote(element);
    return typeof element === 'number' && isFraction(tensor.dtype)
      ? formatHexFloat(element)
      : String(element);
  });
  return nest(texts, tensor.shape);
}

/** Row-major elements in brackets, one pair for each row. */
function nest(texts: readonly string[], shape: readonly (number | undefined)[]): string {
  const [rows, ...rest] = shape;
  if (shape.length === 0) return texts.join();
  if (rest.length === 0 || rows === undefined) return `[${texts.join(', ')}]`;
  const size = texts.length / rows;
  const nested = Array.from({ length: rows }, (_, row) =>
    nest(texts.slice(row * size, (row + 1) * size), rest),
  );
  return `[${nested.join(', ')}]`;
}

function dictionary(entries: readonly (readonly [string, string])[]): string {
  const texts = entries.toSorted(([a], [b]) => order(a, b)).map(([key, value]) => `{${key}, ${value}}`);
  return `{${texts.join(', ')}}`;
}

function sorted<T>(entries: Readonly<Record<string, T>>): [string, T][] {
  return Object.entries(entries).sort(([a], [b]) => order(a, b));
}

function order(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function quote(text: string): string {
  return `"${text.replaceAll(/["\\\n\r\t]/g, (character) => escapes[character] ?? character)}"`;
}

const escapes: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};
