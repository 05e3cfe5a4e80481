import type { ByteSource } from '../../../io/bytes.ts';
import type { Attribute, Declaration, Operation, Port, Program, ProgramGraph, Value } from '../program.ts';
import { MalformedError } from './byte-reader.ts';
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
  const graphs = body.operations.map(readGraph);
  const names = new Set(graphs.map(({ name }) => name));
  if (names.size < graphs.length) throw new MalformedError('two of its functions have one name');
  return { stamp: Number(stamp?.kind === 'integer' ? stamp.value : 0), graphs };
}

function readGraph({ name: kind, properties, regions }: Operation): ProgramGraph {
  const [body] = regions;
  const output = body?.operations.at(-1);
  if (kind !== 'dataflow.graph_v1' || !body || output?.name !== 'dataflow.output_v1')
    throw new MalformedError('it holds something else than functions');
  // In the order of `graphProperties`.
  const [inputNames, declaration, , , , name, isPrivate, , outputNames] = properties;
  return {
    name: textOf(name),
    isPublic: !isTrue(isPrivate),
    declaration: declarationOf(declaration),
    inputs: ports(body.arguments, inputNames),
    outputs: ports(output.operands, outputNames),
    operations: body.operations.slice(0, -1),
  };
}

function ports(values: readonly Value[], names: Attribute | undefined): Port[] {
  const items = itemsOf(names);
  return values.map((value, index) => {
    const name = entry(items[index], 'aicode.name');
    return { value, name: name?.kind === 'string' ? name.text : undefined };
  });
}

function declarationOf(attribute: Attribute | undefined): Declaration | undefined {
  if (attribute?.kind !== 'named') return undefined;
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
  return attribute.text;
}

function isTrue(attribute: Attribute | undefined): boolean {
  return attribute?.kind === 'integer' && attribute.value !== 0n;
}
