import type { ByteSource } from '../../../io/bytes.ts';
import type { Attribute, Declaration, Operation, Port, Program, ProgramGraph, Value } from '../program.ts';
import { checkName, MalformedError } from './byte-reader.ts';
import { readContainer } from './read-container.ts';
import { OperationReader } from './read-operations.ts';

/**
 * Reads a program; its weights stay where they are, and can be read while the file is open. Throws `MalformedError` for
 * bytes that contradict themselves, `NotReadError` for what is not read: other versions, other kinds of values.
 */
export async function readProgram(file: ByteSource): Promise<Program> {
  const asset = new OperationReader(await readContainer(file)).whole();
  const [body] = asset.regions;
  if (asset.name !== 'serialization.asset' || !body)
    throw new MalformedError('it is not a program of Core AI');
  const stamp = asset.properties.find((each) => each?.kind === 'integer');
  const readings: Readings = { nameOf: once(nameOf), declarationOf: once(declarationOf) };
  const graphs = body.operations.map((operation) => readGraph(operation, readings));
  const names = new Set(graphs.map(({ name }) => name));
  if (names.size < graphs.length) throw new MalformedError('two of its functions have one name');
  return { stamp: Number(stamp?.kind === 'integer' ? stamp.value : 0), graphs };
}

/** What is read of attributes. */
interface Readings {
  readonly nameOf: (attribute: Attribute | undefined) => string | undefined;
  readonly declarationOf: (attribute: Attribute | undefined) => Declaration | undefined;
}

/** A reading that is done once: all functions and ports of a file may have one and the same attribute, of any length. */
function once<T>(read: (attribute: Attribute) => T): (attribute: Attribute | undefined) => T | undefined {
  const known = new Map<Attribute, T>();
  return (attribute) => {
    if (!attribute) return undefined;
    if (!known.has(attribute)) known.set(attribute, read(attribute));
    return known.get(attribute);
  };
}

function readGraph(
  { name: kind, properties, regions }: Operation,
  { nameOf, declarationOf }: Readings,
): ProgramGraph {
  const [body] = regions;
  const output = body?.operations.at(-1);
  if (kind !== 'dataflow.graph_v1' || !body || output?.name !== 'dataflow.output_v1')
    throw new MalformedError('it holds something else than functions');
  // In the order of `graphProperties`.
  const [inputNames, declaration, , , , name, isPrivate, , outputNames] = properties;
  const ports = (values: readonly Value[], names: Attribute | undefined): Port[] => {
    const items = itemsOf(names);
    return values.map((value, index) => ({ value, name: nameOf(items[index]) }));
  };
  return {
    name: textOf(name),
    isPublic: !isTrue(isPrivate),
    declaration: declarationOf(declaration),
    inputs: ports(body.arguments, inputNames),
    outputs: ports(output.operands, outputNames),
    operations: body.operations.slice(0, -1),
  };
}

function nameOf(attribute: Attribute): string | undefined {
  const name = entry(attribute, 'aicode.name');
  return name?.kind === 'string' ? checkName(name.text) : undefined;
}

function declarationOf(attribute: Attribute): Declaration | undefined {
  if (attribute.kind !== 'named') return undefined;
  const whole: Attribute = { kind: 'dictionary', items: attribute.values };
  const texts = (key: string) => itemsOf(entry(whole, key)).map(textOf);
  const entries = itemsOf(entry(whole, 'op_attrs')).flatMap((each): [string, Attribute][] =>
    each.kind === 'named' && each.values[0] ? [[each.name, each.values[0]]] : [],
  );
  return {
    name: attribute.name,
    inputNames: texts('input_names'),
    attributes: Object.fromEntries(entries),
    outputNames: texts('output_names'),
  };
}

/** The value of a name in a dictionary. */
function entry(dictionary: Attribute | undefined, name: string): Attribute | undefined {
  const found = itemsOf(dictionary).find((each) => each.kind === 'named' && each.name === name);
  return found?.kind === 'named' ? found.values[0] : undefined;
}

function itemsOf(attribute: Attribute | undefined): readonly Attribute[] {
  return attribute?.kind === 'array' || attribute?.kind === 'dictionary' ? attribute.items : [];
}

function textOf(attribute: Attribute | undefined): string {
  if (attribute?.kind !== 'string') throw new MalformedError('a name in it is no text');
  return checkName(attribute.text);
}

function isTrue(attribute: Attribute | undefined): boolean {
  return attribute?.kind === 'integer' && attribute.value !== 0n;
}
