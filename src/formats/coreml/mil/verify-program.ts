import { FileFormatError, UnsupportedModelError } from '../../../errors.ts';
import { quote } from '../../../io/error-text.ts';
import { weightFilePath } from '../package/weight-blobs.ts';
import { milElement } from './mil-dtype.ts';
import { isMilOperation } from './mil-operations.ts';
import { iosOfOpset } from './mil-opset.ts';
import { immediateElements, operationValues, tensorElements, tensorTypeOf } from './mil-program.ts';
import type {
  Block,
  MilFunction,
  NamedValueType,
  Operation,
  Program,
  Value,
  ValueType,
} from './mil-schema.ts';

/**
 * Refuses a program that is not one: types and values that contradict themselves, names that are not identifiers or
 * stand for two things, operations that read what is not computed yet. `file` is where it was read. Throws
 * `FileFormatError`, or `UnsupportedModelError` for what Core ML may know and sdconvert does not.
 */
export function verifyProgram(program: Program, file: string): void {
  const functions = Object.entries(program.functions);
  if (functions.length === 0) throw broken(file, 'it has no function');
  verifyAttributes(program.attributes, file);
  for (const [name, fn] of functions) {
    checkIdentifier(name, file);
    verifyAttributes(fn.attributes, file);
    verifyFunction(fn, file);
  }
}

function verifyFunction(fn: MilFunction, file: string): void {
  if (iosOfOpset(fn.opset) === undefined) {
    throw new UnsupportedModelError({
      problem: `${file} is written for a set of operations that is not known: ${quote(fn.opset)}.`,
      details: { known: 'CoreML5 to CoreML9' },
    });
  }
  const block = Object.hasOwn(fn.block_specializations, fn.opset) && fn.block_specializations[fn.opset];
  if (!block) throw broken(file, `it has no block for its opset, ${fn.opset}`);

  const defined = new Set<string>();
  for (const input of [...fn.inputs, ...block.inputs]) define(input, defined, file);
  for (const operation of block.operations) {
    verifyKind(operation, file);
    verifyInputs(operation, block, defined, file);
    for (const [parameter, value] of operationValues(operation))
      verifyValue(operation, parameter, value, file);
    for (const output of operation.outputs) define(output, defined, file);
  }
  for (const output of block.outputs) {
    if (!defined.has(output)) throw broken(file, 'an output is never computed', { output: quote(output) });
  }
}

function verifyKind(operation: Operation, file: string): void {
  const { type, blocks, attributes } = operation;
  if (!isMilOperation(type)) {
    throw new UnsupportedModelError({
      problem: `${file} uses an operation that is not known: ${quote(type)}.`,
      details: { in: nameOf(operation) },
      advice: 'It may be newer than this version of sdconvert, or a custom layer of its app.',
    });
  }
  if (blocks.length > 0) {
    throw new UnsupportedModelError({
      problem: `${file} uses control flow (${type}), which is not supported.`,
      details: { in: nameOf(operation) },
    });
  }
  if (type === 'const' && !attributes.val) {
    throw broken(file, 'a constant has no value', { in: nameOf(operation) });
  }
}

function verifyInputs(operation: Operation, block: Block, defined: ReadonlySet<string>, file: string): void {
  for (const [parameter, { arguments: bindings }] of Object.entries(operation.inputs)) {
    checkIdentifier(parameter, file);
    for (const { name } of bindings) {
      if (name !== undefined && !defined.has(name)) throw undefinedValue(operation, name, block, file);
    }
  }
}

function undefinedValue(operation: Operation, name: string, block: Block, file: string): FileFormatError {
  const comesLater = block.operations.some(({ outputs }) => outputs.some((output) => output.name === name));
  return broken(
    file,
    comesLater
      ? 'its operations are out of order or in a circle: one reads a value that is computed later'
      : 'an operation reads a value that nothing computes',
    { operation: nameOf(operation), reads: quote(name) },
  );
}

function define({ name, type }: NamedValueType, defined: Set<string>, file: string): void {
  checkIdentifier(name, file);
  if (defined.has(name)) throw broken(file, 'two values have one name', { name });
  if (!isType(type))
    throw broken(file, 'a value has a type that is incomplete or not known', { value: name });
  defined.add(name);
}

function verifyValue(operation: Operation, parameter: string, value: Value, file: string): void {
  const details = { in: nameOf(operation), parameter: quote(parameter) };
  checkIdentifier(parameter, file);
  const tensor = tensorTypeOf(value.type);
  if (!tensor) throw broken(file, 'a constant has a type that is incomplete or not known', details);
  if (value.blobFileValue) {
    if (milElement(tensor.dtype).blob === undefined || !Number.isSafeInteger(tensorElements(tensor))) {
      throw broken(file, 'a constant in a weight file has a type or size that none can have', details);
    }
    if (weightFilePath(value.blobFileValue.fileName) === undefined) {
      throw broken(file, 'a constant lies in a file outside of the model', {
        ...details,
        found: quote(value.blobFileValue.fileName),
      });
    }
  } else if (!immediateElements(value)) {
    throw broken(file, 'a constant does not hold the elements that its type declares', {
      ...details,
      type: `${tensor.dtype} [${tensor.shape.join(', ')}]`,
    });
  }
}

/** Attributes of programs and functions are literals of any type. */
function verifyAttributes(attributes: Readonly<Record<string, Value>>, file: string): void {
  for (const [name, value] of Object.entries(attributes)) {
    checkIdentifier(name, file);
    if (!isType(value.type) || !isLiteral(value)) {
      throw broken(file, 'an attribute does not hold what its type declares', { attribute: name });
    }
  }
}

function isLiteral(value: Value | null): boolean {
  const { tuple, list, dictionary } = value?.immediateValue ?? {};
  if (dictionary) return dictionary.values.every((entry) => isLiteral(entry.key) && isLiteral(entry.value));
  return (
    value !== null && ((tuple ?? list)?.values.every(isLiteral) ?? immediateElements(value) !== undefined)
  );
}

function isType(type: ValueType | null): boolean {
  if (type?.stateType) return isType(type.stateType.wrappedType);
  if (type?.listType) return isType(type.listType.type);
  if (type?.tupleType) return type.tupleType.types.every(isType);
  if (type?.dictionaryType)
    return isType(type.dictionaryType.keyType) && isType(type.dictionaryType.valueType);
  return tensorTypeOf(type) !== undefined;
}

function checkIdentifier(name: string, file: string): void {
  if (!/^[A-Za-z_][A-Za-z0-9_@]*$/.test(name))
    throw broken(file, 'a name is not an identifier', { name: quote(name) });
}

function nameOf({ type, outputs }: Operation): string {
  return quote(outputs[0]?.name ?? type);
}

function broken(file: string, what: string, details: Readonly<Record<string, string>> = {}): FileFormatError {
  return new FileFormatError({
    problem: `${file} is not a valid ML Program: ${what}.`,
    details,
    advice: 'It is damaged, or was written by a faulty tool: get it again, or convert it again.',
  });
}
