import type { Attribute, Declaration, Port, ProgramGraph } from '../program.ts';

/** Properties of an operation that may be left out, by their positions; all others are there. */
const optional: Readonly<Record<string, ReadonlySet<number>>> = {
  'serialization.asset': new Set([0, 1]),
  'dataflow.graph_v1': new Set([1]),
};

/** Whether a property of an operation may be left out, and is stored so that this can be told. */
export function isOptionalProperty(operation: string, position: number): boolean {
  return optional[operation]?.has(position) ?? false;
}

/** What a graph's operation says of it, in the order in which it is stored. */
export function graphProperties({
  name,
  isPublic,
  declaration,
  inputs,
  outputs,
}: ProgramGraph): readonly (Attribute | undefined)[] {
  const types = (ports: readonly Port[]) => ports.map(({ value }) => value.type);
  return [
    portNames(inputs),
    declaration && encodeDeclaration(declaration),
    truth(false), // not to be computed elsewhere
    { kind: 'type', type: { kind: 'function', inputs: types(inputs), results: types(outputs) } },
    truth(declaration !== undefined), // not to be inlined
    { kind: 'string', text: name },
    truth(!isPublic),
    { kind: 'array', items: [] },
    portNames(outputs),
  ];
}

function truth(value: boolean): Attribute {
  return { kind: 'integer', width: 1, unsigned: true, value: BigInt(value) };
}

function portNames(ports: readonly Port[]): Attribute {
  const items = ports.map(({ name }): Attribute => {
    const text: Attribute[] = name === undefined ? [] : [{ kind: 'string', text: name }];
    return {
      kind: 'array',
      items: text.map((each) => ({ kind: 'named', name: 'aicode.name', values: [each] })),
    };
  });
  return { kind: 'array', items };
}

/** Many graphs may be declared alike. */
const encodedDeclarations = new WeakMap<Declaration, Attribute>();

function encodeDeclaration(declaration: Declaration): Attribute {
  const encoded = encodedDeclarations.get(declaration) ?? declared(declaration);
  encodedDeclarations.set(declaration, encoded);
  return encoded;
}

function declared({ name, inputNames, attributes, outputNames }: Declaration): Attribute {
  const texts = (all: readonly string[]): Attribute => ({
    kind: 'array',
    items: all.map((text) => ({ kind: 'string', text })),
  });
  const named = Object.entries(attributes)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]): Attribute => ({ kind: 'named', name: key, values: [value] }));
  const entry = (key: string, value: Attribute): Attribute => ({ kind: 'named', name: key, values: [value] });
  const values = [
    entry('input_names', texts(inputNames)),
    entry('op_attrs', { kind: 'dictionary', items: named }),
    entry('output_names', texts(outputNames)),
  ];
  return { kind: 'named', name, values };
}
