import { type MilDType, milDTypes, milElement } from './mil-dtype.ts';
import { type Elements, isFraction, writeElements } from './mil-elements.ts';
import { opsetOfTag } from './mil-opset.ts';
import { tensorTypeOf } from './mil-program.ts';
import type {
  Argument,
  Binding,
  Block,
  Dimension,
  ImmediateValue,
  MilFunction,
  NamedValueType,
  Operation,
  Program,
  Value,
  ValueType,
} from './mil-schema.ts';
import { MilTokens } from './mil-tokens.ts';

/**
 * Reads an ML Program's text, the `model.mil` of compiled models, ours and Apple's: the grammar that `mil-text.ts`
 * writes, in both its spellings, with white space anywhere. What the text says twice or not at all is refused; whether
 * it makes sense as a program is for `verifyProgram`. Throws `FileFormatError` with the place in the file.
 */
export function parseMilText(text: string, file: string): Program {
  const tokens = new MilTokens(text, file);
  try {
    return parseProgram(tokens);
  } catch (error) {
    // A text that is one endless literal is too much for the regular expression.
    if (error instanceof RangeError) throw tokens.error('something shorter', error.message);
    throw error;
  }
}

function parseProgram(tokens: MilTokens): Program {
  tokens.expect('program');
  tokens.expect('(');
  tokens.fraction();
  tokens.expect(')');
  const attributes = parseAttributes(tokens);
  const functions = new Map<string, MilFunction>();
  tokens.expect('{');
  while (tokens.takes('func')) {
    const name = tokens.identifier();
    if (functions.has(name)) throw tokens.error('another name', 'a second function of this name');
    functions.set(name, parseFunction(tokens));
  }
  tokens.expect('}');
  tokens.expectEnd();
  return { version: 1, functions: Object.fromEntries(functions), docString: '', attributes };
}

function parseFunction(tokens: MilTokens): MilFunction {
  tokens.expect('<');
  const tag = tokens.identifier();
  const opset = opsetOfTag(tag);
  if (opset === undefined) throw tokens.error('ios15 to ios19', tag);
  tokens.expect('>');
  const inputs = tokens.list('(', ')', () => parseNamedType(tokens));
  const attributes = parseAttributes(tokens);
  const operations: Operation[] = [];
  tokens.expect('{');
  while (!tokens.takes('}')) operations.push(parseOperation(tokens));
  tokens.expect('->');
  const outputs = tokens.list('(', ')', () => tokens.identifier());
  tokens.expect(';');
  const block: Block = { inputs: [], outputs, operations, attributes: {} };
  return { inputs, opset, block_specializations: { [opset]: block }, attributes };
}

function parseOperation(tokens: MilTokens): Operation {
  const outputs: NamedValueType[] = [];
  if (tokens.peek(1) !== '(') {
    do outputs.push(parseNamedType(tokens));
    while (tokens.takes(','));
    tokens.expect('=');
  }
  const type = tokens.identifier();
  const inputs = parseEntries(tokens, '(', ')', () => parseArgument(tokens));
  const attributes = parseAttributes(tokens);
  tokens.expect(';');
  return { type, inputs, outputs, blocks: [], attributes };
}

function parseArgument(tokens: MilTokens): Argument {
  if (tokens.peek() === '(') return { arguments: tokens.list('(', ')', () => parseBinding(tokens)) };
  return { arguments: [parseBinding(tokens)] };
}

/** A name, or a value: those begin with a type. */
function parseBinding(tokens: MilTokens): Binding {
  const next = tokens.peek(1);
  if (next === '<' || next === '(') return { value: parseValue(tokens) };
  return { name: tokens.identifier() };
}

function parseNamedType(tokens: MilTokens): NamedValueType {
  const type = parseType(tokens, 0);
  return { type, name: tokens.identifier() };
}

function parseAttributes(tokens: MilTokens): Readonly<Record<string, Value>> {
  return tokens.peek() === '[' ? parseEntries(tokens, '[', ']', () => parseValue(tokens)) : {};
}

/** `name = …, name = …` between brackets. */
function parseEntries<T>(
  tokens: MilTokens,
  open: string,
  close: string,
  parse: () => T,
): Readonly<Record<string, T>> {
  const entries = new Map<string, T>();
  tokens.list(open, close, () => {
    const name = tokens.identifier();
    if (entries.has(name)) throw tokens.error('another name', `${name} for the second time`);
    tokens.expect('=');
    entries.set(name, parse());
  });
  return Object.fromEntries(entries);
}

/** Deeper types than any program has would exhaust the stack. */
const DEEPEST = 16;

function parseType(tokens: MilTokens, depth: number): ValueType {
  const part = (): ValueType => parseType(tokens, depth + 1);
  const word = tokens.identifier();
  if (depth > DEEPEST) throw tokens.error('a simpler type', word);
  if (isDType(word)) return tensorOf(word, []);
  tokens.expect('<');
  const type = parseCompound(tokens, word, part);
  tokens.expect('>');
  return type;
}

function parseCompound(tokens: MilTokens, word: string, part: () => ValueType): ValueType {
  const second = <T>(parse: () => T): T => {
    tokens.expect(',');
    return parse();
  };
  switch (word) {
    case 'tensor': {
      const dtype = tokens.identifier();
      if (!isDType(dtype)) throw tokens.error('an element type', dtype);
      const dimensions = second(() => tokens.list('[', ']', () => parseDimension(tokens)));
      if (dimensions.length > DEEPEST) throw tokens.error('fewer dimensions', String(dimensions.length));
      return tensorOf(dtype, dimensions);
    }
    case 'list':
      return { listType: { type: part(), length: second(() => parseDimension(tokens)) } };
    case 'dict':
      return { dictionaryType: { keyType: part(), valueType: second(part) } };
    case 'state':
      return { stateType: { wrappedType: part() } };
    case 'tuple': {
      const types = [part()];
      while (tokens.takes(',')) types.push(part());
      return { tupleType: { types } };
    }
    default:
      throw tokens.error('a type', word);
  }
}

function parseDimension(tokens: MilTokens): Dimension {
  return tokens.takes('?') ? { unknown: { variadic: false } } : { constant: { size: tokens.integer() } };
}

function tensorOf(dtype: MilDType, dimensions: readonly Dimension[]): ValueType {
  return {
    tensorType: { dataType: milElement(dtype).code, rank: dimensions.length, dimensions, attributes: {} },
  };
}

function parseValue(tokens: MilTokens): Value {
  const type = parseType(tokens, 0);
  tokens.expect('(');
  const value = tokens.takes('BLOBFILE') ? parseBlobReference(tokens, type) : parseLiteral(tokens, type);
  tokens.expect(')');
  return value;
}

function parseBlobReference(tokens: MilTokens, type: ValueType): Value {
  const { path, offset, ...others } = parseEntries(tokens, '(', ')', () => parseValue(tokens));
  const [fileName] = path?.immediateValue?.tensor?.strings?.values ?? [];
  const [place] = offset?.immediateValue?.tensor?.longInts?.values ?? [];
  if (fileName === undefined || place === undefined || Object.keys(others).length) {
    throw tokens.error('a path and an offset', 'something else');
  }
  return { docString: '', type, blobFileValue: { fileName, offset: place } };
}

function parseLiteral(tokens: MilTokens, type: ValueType | null): Value {
  const { listType, tupleType, dictionaryType } = type ?? {};
  const literal = (immediateValue: ImmediateValue): Value => ({ docString: '', type, immediateValue });
  if (listType) {
    return literal({ list: { values: tokens.list('[', ']', () => parseLiteral(tokens, listType.type)) } });
  }
  if (tupleType) {
    const types = tupleType.types.values();
    return literal({
      tuple: { values: tokens.list('(', ')', () => parseLiteral(tokens, types.next().value ?? null)) },
    });
  }
  if (dictionaryType) {
    const values = tokens.list('{', '}', () => {
      tokens.expect('{');
      const key = parseLiteral(tokens, dictionaryType.keyType);
      tokens.expect(',');
      const value = parseLiteral(tokens, dictionaryType.valueType);
      tokens.expect('}');
      return { key, value };
    });
    return literal({ dictionary: { values } });
  }
  return parseTensor(tokens, type);
}

/** A tensor literal; where its type leaves the size of a vector open, the literal fixes it. */
function parseTensor(tokens: MilTokens, type: ValueType | null): Value {
  const tensor = tensorTypeOf(type);
  if (!tensor) throw tokens.error('a value that has no such type', 'one');
  const elements: (number | boolean | string)[] = [];
  parseRows(tokens, tensor.dtype, tensor.shape, elements);
  const written = writeElements(tensor.dtype, elements);
  if (!written) throw tokens.error(`elements of ${tensor.dtype}`, 'others');
  const isOpen = tensor.shape.includes(undefined);
  const fixed = isOpen ? tensorOf(tensor.dtype, [{ constant: { size: elements.length } }]) : type;
  return { docString: '', type: fixed, immediateValue: { tensor: written } };
}

function parseRows(
  tokens: MilTokens,
  dtype: MilDType,
  shape: readonly (number | undefined)[],
  into: (number | boolean | string)[],
): void {
  const [size, ...rest] = shape;
  if (shape.length === 0) {
    into.push(parseElement(tokens, dtype));
    return;
  }
  const rows = tokens.list('[', ']', () => parseRows(tokens, dtype, rest, into));
  if (size !== undefined && rows.length !== size) throw tokens.error(`${size} elements`, `${rows.length}`);
}

function parseElement(tokens: MilTokens, dtype: MilDType): Elements[number] {
  if (dtype === 'string') return tokens.string();
  if (dtype !== 'bool') return isFraction(dtype) ? tokens.fraction() : tokens.integer();
  const word = tokens.identifier();
  if (word !== 'true' && word !== 'false') throw tokens.error('true or false', word);
  return word === 'true';
}

function isDType(word: string): word is MilDType {
  return Object.hasOwn(milDTypes, word);
}
