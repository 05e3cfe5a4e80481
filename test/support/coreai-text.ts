import type {
  Attribute,
  Operation,
  Program,
  ProgramGraph,
  TensorType,
  Value,
} from '../../src/formats/coreai/program.ts';
import { constantNumbers } from './coreai-constants.ts';

/**
 * The operations of a program's `main`, one a line, without decompositions: constants by their values, weights by their names,
 * results by their outputs' names or numbers, calls of declared graphs by the declaration:
 * `y = broadcasting_add_v1(x0, [1, 2]): f32 [3, 2]`.
 */
export function coreAiText({ graphs }: Program): string {
  const main = graphs.find(({ name }) => name === 'main');
  if (!main) throw new Error('the program has no main');
  const names = new Map<Value, string>();
  for (const { name = '?', value } of main.inputs) names.set(value, name);
  for (const { name = '?', value } of main.outputs) if (!names.has(value)) names.set(value, name);
  let count = 0;
  const lines: string[] = [];
  for (const operation of main.operations) {
    const [result] = operation.results;
    if (!result) throw new Error(`${operation.name} has no result`);
    if (operation.name === 'primitive.constant_v1') {
      const isOutput = names.has(result);
      const text = printConstant(operation.properties[0], result.type);
      if (isOutput) lines.push(`${names.get(result)} = ${text}`);
      else names.set(result, text);
      continue;
    }
    if (!names.has(result)) names.set(result, `%${count++}`);
    const operands = operation.operands.map((value) => names.get(value) ?? '?').join(', ');
    lines.push(
      `${names.get(result)} = ${printName(operation, graphs)}(${operands}): ${printType(result.type)}`,
    );
  }
  for (const { name, value } of main.outputs)
    if (names.get(value) !== name) lines.push(`${name} = ${names.get(value)}`);
  return lines.join('\n');
}

function printName({ name, properties }: Operation, graphs: readonly ProgramGraph[]): string {
  if (name !== 'dataflow.invoke_v1') {
    const printed = properties.map((each) => (each?.kind === 'choice' ? ` ${each.of} ${each.value}` : ''));
    return `${name}${printed.join('')}`;
  }
  const { declaration } = calledGraph({ properties }, graphs);
  if (!declaration) throw new Error('the graph is not declared');
  const attributes = Object.entries(declaration.attributes).sort(([a], [b]) => (a < b ? -1 : 1));
  return `${declaration.name} ${attributes.map(([key, value]) => `${key}=${printAttribute(value)}`).join(' ')} `;
}

function printAttribute(attribute: Attribute): string {
  switch (attribute.kind) {
    case 'integer':
      return String(attribute.value);
    case 'float':
      return String(attribute.value);
    case 'array':
      return `[${attribute.items.map(printAttribute).join(', ')}]`;
    default:
      throw new Error(`an attribute of kind ${attribute.kind}`);
  }
}

function printType({ element, shape }: TensorType): string {
  return `${element} [${shape.map((size) => size ?? '?').join(', ')}]`;
}

function printConstant(stored: Attribute | undefined, type: TensorType): string {
  if (stored?.kind === 'resource') return `${stored.tensor.name} [${type.shape.join(', ')}]`;
  if (stored?.kind !== 'tensor') throw new Error('a constant of another kind');
  const numbers = constantNumbers(stored.bytes, type.element);
  const text = stored.splat ? `${numbers[0]} everywhere` : numbers.join(', ');
  return type.shape.length === 0
    ? text
    : type.shape.length === 1
      ? `[${text}]`
      : `[${type.shape.join(', ')}] of ${text}`;
}

/** The graph that an operation invokes. */
export function calledGraph(
  { properties }: Pick<Operation, 'properties'>,
  graphs: readonly ProgramGraph[],
): ProgramGraph {
  const called = properties.find((each) => each?.kind === 'parameter')?.value;
  const graph = graphs.find(({ name }) => called?.kind === 'symbol' && called.path[0] === name);
  if (!graph) throw new Error('nothing of that name can be called');
  return graph;
}
