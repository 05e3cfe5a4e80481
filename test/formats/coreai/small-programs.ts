import fc from 'fast-check';
import { elementCodes } from '../../../src/formats/coreai/bytecode/codes.ts';
import { layOutProgram } from '../../../src/formats/coreai/bytecode/encode-program.ts';
import {
  type Attribute,
  type Element,
  elements,
  type Operation,
  type Port,
  type Program,
  type ProgramGraph,
  type TensorType,
  type Value,
} from '../../../src/formats/coreai/program.ts';
import { float16Value } from '../../../src/weights/convert-dtype.ts';
import { memoryStream, readStream } from '../../../src/weights/tensor-stream.ts';

/** The bytes of a program's file. */
export async function encoded(program: Program): Promise<Uint8Array> {
  const { parts } = layOutProgram(program);
  return new Uint8Array(Buffer.concat(await Promise.all(parts.map(({ tensor }) => readStream(tensor)))));
}

/** A program with one function, `main`. */
export function programOf(
  operations: readonly Operation[],
  inputs: readonly Port[],
  outputs: readonly Port[],
): Program {
  return { stamp: 20260409, graphs: [{ name: 'main', isPublic: true, inputs, outputs, operations }] };
}

export function operation(
  name: string,
  operands: readonly Value[],
  results: readonly Value[],
  more: Partial<Operation> = {},
): Operation {
  return { name, operands, results, properties: [], regions: [], ...more };
}

export function tensor(element: Element, ...shape: readonly number[]): TensorType {
  return { kind: 'tensor', element, shape };
}

/** A weight that lies among the resources. */
export function weight(name: string, type: TensorType, bytes: Uint8Array): Operation {
  const properties: Attribute[] = [{ kind: 'resource', tensor: memoryStream(name, bytes) }];
  return operation('primitive.constant_v1', [], [{ type }], { properties });
}

const types = fc.record({
  kind: fc.constant('tensor' as const),
  element: fc.constantFrom(...elements),
  shape: fc.array(fc.option(fc.nat(5000), { nil: undefined }), { maxLength: 5 }),
});

const attributes: fc.Arbitrary<Attribute> = fc.oneof(
  fc.record({
    kind: fc.constant('string' as const),
    text: fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\0', '')),
  }),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value) => integer(64, false, value)),
  fc.integer({ min: -128, max: 127 }).map((value) => integer(8, false, BigInt(value))),
  fc.boolean().map((value) => integer(1, true, BigInt(value))),
  fc.integer({ min: 0, max: 0x7bff }).map((bits) => fraction(16, float16Value(bits))),
  fc.float({ noNaN: true }).map((value) => fraction(32, value)),
  fc.double({ noNaN: true }).map((value) => fraction(64, value)),
);

function integer(width: number, unsigned: boolean, value: bigint): Attribute {
  return { kind: 'integer', width, unsigned, value };
}

function fraction(width: number, value: number): Attribute {
  return { kind: 'float', width, value };
}

const names = fc.stringMatching(/^[a-z_.]{1,12}$/);

/** Constants of every element type, in the program and among its weights, with the bytes that they must have. */
const constants = fc
  .record({
    element: fc.constantFrom(...elements),
    shape: fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 3 }),
    where: fc.constantFrom('program', 'splat', 'weights'),
    name: names,
    seed: fc.nat(),
  })
  .map(({ element, shape, where, name, seed }): Operation => {
    const { bits } = elementCodes[element];
    const count = where === 'splat' ? 1 : shape.reduce((product, size) => product * size, 1);
    const stored = where === 'weights' || bits === 1 ? bits : Math.max(8, bits);
    const bytes = Uint8Array.from(
      { length: Math.ceil((count * stored) / 8) },
      (_, at) => (seed + at * 37) % 256,
    );
    const type = tensor(element, ...shape);
    if (where === 'weights') return weight(name, type, bytes);
    const properties: Attribute[] = [{ kind: 'tensor', bytes, splat: where === 'splat' }];
    return operation('primitive.constant_v1', [], [{ type }], { properties });
  });

/** Functions of constants and of operations that read what was before them, some with a region. */
const graphs = fc
  .record({
    inputs: fc.array(fc.tuple(fc.option(names, { nil: undefined }), types), { maxLength: 3 }),
    constants: fc.array(constants, { maxLength: 5 }),
    steps: fc.array(fc.tuple(names, types, fc.nat(), fc.boolean()), { maxLength: 8 }),
    declaration: fc.option(fc.tuple(names, fc.array(names), fc.dictionary(names, attributes)), {
      nil: undefined,
    }),
  })
  .map(({ inputs, steps, declaration, ...given }): Omit<ProgramGraph, 'name'> => {
    const isNamed = inputs.every(([name]) => name !== undefined);
    const ports = inputs.map(([name, type]): Port => ({ name: isNamed ? name : undefined, value: { type } }));
    const operations: Operation[] = [...given.constants];
    const values = [...ports.map(({ value }) => value), ...operations.flatMap(({ results }) => results)];
    for (const [name, type, at, hasRegion] of steps) {
      const operands = values.length > 0 ? [values[at % values.length] as Value] : [];
      const result = { type };
      const argumentsOf = operands.map((operand) => ({ type: operand.type }));
      const yields = operation('dataflow.yield_v1', argumentsOf, []);
      const regions = hasRegion ? [{ arguments: argumentsOf, operations: [yields] }] : [];
      operations.push(operation(`${name}_v1`, operands, [result], { regions }));
      values.push(result);
    }
    const outputs = values.slice(-2).map((value, at): Port => ({ name: `output_${at}`, value }));
    const [name = '', inputNames = [], of = {}] = declaration ?? [];
    return {
      isPublic: declaration === undefined,
      ...(declaration && { declaration: { name, inputNames, attributes: of, outputNames: ['output'] } }),
      inputs: ports,
      outputs,
      operations,
    };
  });

/** Programs of all that a file can hold. */
export const programs: fc.Arbitrary<Program> = fc
  .array(graphs, { minLength: 1, maxLength: 3 })
  .map((all) => ({ stamp: 20260409, graphs: all.map((graph, at) => ({ name: `graph_${at}`, ...graph })) }));
