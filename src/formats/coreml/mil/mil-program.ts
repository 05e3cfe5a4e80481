import { type MilDType, milDTypeOf } from './mil-dtype.ts';
import { type Elements, readElements } from './mil-elements.ts';
import type { Block, Dimension, MilFunction, Operation, Program, Value, ValueType } from './mil-schema.ts';

/** Queries on ML Programs. An opened program has passed `verifyProgram`. */

/** A tensor's element type and its sizes; `undefined` is a size that is only known when the model runs. */
export interface MilTensorType {
  readonly dtype: MilDType;
  readonly shape: readonly (number | undefined)[];
}

/** The tensor type that a type is; `undefined` for any other, or a tensor of unknown element type or rank. */
export function tensorTypeOf(type: ValueType | null): MilTensorType | undefined {
  const tensor = type?.tensorType;
  const dtype = tensor && milDTypeOf(tensor.dataType);
  if (!dtype || tensor.rank !== tensor.dimensions.length || !tensor.dimensions.every(isSize))
    return undefined;
  return { dtype, shape: tensor.dimensions.map(({ constant }) => constant?.size) };
}

/** Number of elements; `NaN` when a size is not known. */
export function tensorElements({ shape }: MilTensorType): number {
  return shape.reduce((count: number, size) => count * (size ?? Number.NaN), 1);
}

/** Functions of a program, each with the block that its opset selects, sorted by name. */
export function programFunctions(program: Program): { name: string; function: MilFunction; block: Block }[] {
  return Object.entries(program.functions)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, fn]) => ({ name, function: fn, block: activeBlock(fn) }));
}

/** The block that counts for a function's opset. Throws `Error` when there is none. */
export function activeBlock({ block_specializations: blocks, opset }: MilFunction): Block {
  const block = Object.hasOwn(blocks, opset) ? blocks[opset] : undefined;
  if (!block) throw new Error(`there is no block for ${opset}`);
  return block;
}

/** An operation's values that stand in it, with the parameter each belongs to: attributes, then inputs that are not names. */
export function* operationValues({ attributes, inputs }: Operation): Generator<readonly [string, Value]> {
  yield* Object.entries(attributes);
  for (const [parameter, { arguments: bindings }] of Object.entries(inputs)) {
    for (const { value } of bindings) if (value) yield [parameter, value];
  }
}

/** The values that stand in a program's operations, in order. */
export function* programValues(program: Program): Generator<{ operation: Operation; value: Value }> {
  for (const { block } of programFunctions(program)) {
    for (const operation of block.operations) {
      for (const [, value] of operationValues(operation)) yield { operation, value };
    }
  }
}

/** A program with other values in its operations, asked for in the order of `programValues`; operations none of whose values changed stay the objects they are. */
export function withValues(program: Program, change: (value: Value) => Value): Program {
  return withBlocks(program, (block) => ({
    ...block,
    operations: block.operations.map((operation) => withOtherValues(operation, change)),
  }));
}

/** A program whose functions have other blocks, asked for in the order of `programFunctions`; those for opsets that do not count are left out. */
export function withBlocks(program: Program, change: (block: Block, fn: MilFunction) => Block): Program {
  const functions = programFunctions(program).map(({ name, function: fn, block }): [string, MilFunction] => [
    name,
    { ...fn, block_specializations: { [fn.opset]: change(block, fn) } },
  ]);
  return { ...program, functions: Object.fromEntries(functions) };
}

function withOtherValues(operation: Operation, change: (value: Value) => Value): Operation {
  // Most operations have no such value; new objects for all of them would be tens of megabytes of garbage.
  const others = new Map<Value, Value>();
  for (const [, value] of operationValues(operation)) {
    const other = change(value);
    if (other !== value) others.set(value, other);
  }
  if (others.size === 0) return operation;
  const changed = (value: Value): Value => others.get(value) ?? value;
  const inputs = mapValues(operation.inputs, ({ arguments: bindings }) => ({
    arguments: bindings.map((binding) => (binding.value ? { value: changed(binding.value) } : binding)),
  }));
  return { ...operation, attributes: mapValues(operation.attributes, changed), inputs };
}

function mapValues<T>(record: Readonly<Record<string, T>>, map: (value: T) => T): Record<string, T> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
}

/** The value of each `const` operation of a block, by the name of its output. */
export function blockConstants({ operations }: Block): ReadonlyMap<string, Value> {
  const constants = new Map<string, Value>();
  for (const { type, outputs, attributes } of operations) {
    const name = outputs[0]?.name;
    if (type === 'const' && name !== undefined && attributes.val) constants.set(name, attributes.val);
  }
  return constants;
}

/** The one value that a parameter has when it is constant: as an attribute, where it stands, or by the name of a constant. */
export function parameterValue(
  { attributes, inputs }: Operation,
  parameter: string,
  constants: ReadonlyMap<string, Value>,
): Value | undefined {
  const attribute = Object.hasOwn(attributes, parameter) ? attributes[parameter] : undefined;
  const bindings = Object.hasOwn(inputs, parameter) ? (inputs[parameter]?.arguments ?? []) : [];
  const [binding] = bindings;
  if (attribute || bindings.length !== 1) return attribute;
  return binding?.name === undefined ? binding?.value : constants.get(binding.name);
}

/** The elements of a tensor that stands in the program; `undefined` for any other value. */
export function immediateElements({ type, immediateValue }: Value): Elements | undefined {
  const tensor = tensorTypeOf(type);
  if (!tensor || !immediateValue?.tensor) return undefined;
  return readElements(tensor.dtype, tensorElements(tensor), immediateValue.tensor);
}

function isSize({ constant, unknown }: Dimension): boolean {
  return constant !== undefined || unknown?.variadic === false;
}
