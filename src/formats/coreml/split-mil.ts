import { type CutChunk, type CutOperation, cutModel } from '../../chunk/cut.ts';
import type { CrossingValue } from '../../chunk/plan.ts';
import { UnsupportedModelError } from '../../errors.ts';
import { formatBytes } from '../../text.ts';
import { elementCount } from '../../weights/dtype.ts';
import { MilWriter } from './build/mil-writer.ts';
import { type MilDType, milElement } from './mil/mil-dtype.ts';
import { iosOfOpset } from './mil/mil-opset.ts';
import { operationValues, programFunctions, tensorTypeOf } from './mil/mil-program.ts';
import type {
  Block,
  FeatureDescription,
  MilFunction,
  Model,
  ModelDescription,
  Operation,
  Program,
  ValueType,
} from './mil/mil-schema.ts';
import { namedType, text } from './mil/mil-value.ts';
import { sizeInFile } from './package/lay-out.ts';

/**
 * Cuts an ML Program into programs that run in a row. Apps pass on float32 tensors only, so a float16 value crosses as
 * `<name>_float32` and is cast back at once, which loses nothing. Descriptions and metadata stay.
 */

/**
 * Cuts a model into chunks, each under `maxBytes` of weights and with the operations and constants of its part: two where
 * possible, as Apple's Swift package needs. `name` is the model's name for errors. Throws `ChunkBudgetError`, and
 * `UnsupportedModelError` for models with several functions, states, or inputs without a fixed shape.
 */
export function splitMil(model: Model, name: string, maxBytes: number): Model[] {
  const cuttable = new Cuttable(model, name);
  return cutModel(cuttable, maxBytes).map((chunk) => cuttable.cut(chunk));
}

/** Note to the user about more than two Core ML chunks; `undefined` for two. */
export function chunkCountNote(count: number, maxBytes: number): string | undefined {
  if (count <= 2) return undefined;
  return `two chunks cannot each stay under ${formatBytes(maxBytes)}, so there are ${count}; Apple's Swift package and the apps built on it load exactly two.`;
}

/** Operations that only change a value's layout: repeating them is cheaper than passing their results on. */
const LAYOUT_OPERATIONS = new Set(['cast', 'expand_dims', 'reshape', 'squeeze', 'transpose']);

/** The element types that can cross, and the type in which they do. */
const crossingTypes: { readonly [D in MilDType]?: MilDType } = { fp16: 'fp32', fp32: 'fp32', int32: 'int32' };

interface MilOperation extends CutOperation {
  readonly operation: Operation;
}

/** The type of a value that can cross, within a chunk and between chunks, where it takes `byteLength` bytes. */
interface CrossingType extends CrossingValue {
  readonly dtype: MilDType;
  readonly outsideDtype: MilDType;
  readonly shape: readonly number[];
}

/** A value that crosses, with its names within a chunk and between chunks. */
interface Crossing extends CrossingType {
  readonly inside: string;
  readonly outside: string;
}

class Cuttable {
  readonly operations: readonly MilOperation[];
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly values: ReadonlyMap<string, CrossingType>;
  readonly #model: Model;
  readonly #main: MainFunction;

  constructor(model: Model, name: string) {
    const main = mainFunction(model, name);
    this.#model = model;
    this.#main = main;
    this.operations = main.block.operations.map(describe);
    this.inputs = main.function.inputs.map(({ name }) => name);
    this.outputs = main.block.outputs;
    this.values = crossingTypesOf(main.block);
  }

  /** Makes a chunk a model. */
  cut(chunk: CutChunk<MilOperation>): Model {
    const write = this.#writer();
    const entering = chunk.entering.map((name) => this.#crossing(name, write));
    const leaving = chunk.leaving.map((name) => this.#crossing(name, write));
    for (const { inside, outside, dtype, shape } of entering) {
      if (inside !== outside)
        write.operation('cast', { x: outside, dtype: text(dtype) }, { name: inside, dtype, shape });
    }
    const enter = write.operations.splice(0);
    for (const { inside, outside, outsideDtype: dtype, shape } of leaving) {
      if (inside !== outside)
        write.operation('cast', { x: inside, dtype: text(dtype) }, { name: outside, dtype, shape });
    }
    const kept = chunk.operations.map(({ operation }) => operation);
    return this.#chunkModel(chunk, [...enter, ...kept, ...write.operations], entering, leaving);
  }

  #chunkModel(
    chunk: CutChunk<MilOperation>,
    operations: readonly Operation[],
    entering: readonly Crossing[],
    leaving: readonly Crossing[],
  ): Model {
    const { name, function: fn, block, program, description } = this.#main;
    const [taken, given] = [new Set(chunk.inputs), new Set(chunk.outputs)];
    // A float32 output that a later chunk reads is listed once.
    const handedOn = leaving.filter(({ outside }) => !given.has(outside));
    const inputs = [
      ...fn.inputs.filter((input) => taken.has(input.name)),
      ...entering.map(({ outside, outsideDtype, shape }) => namedType(outside, outsideDtype, shape)),
    ];
    const outputs = [...handedOn.map(({ outside }) => outside), ...chunk.outputs];
    const cutBlock = { ...block, operations, outputs };
    const cutFunction = { ...fn, inputs, block_specializations: { [fn.opset]: cutBlock } };
    return {
      ...this.#model,
      description: {
        ...description,
        input: [...description.input.filter((input) => taken.has(input.name)), ...entering.map(feature)],
        output: [...handedOn.map(feature), ...description.output.filter((output) => given.has(output.name))],
      },
      mlProgram: { ...program, functions: { [name]: cutFunction } },
    };
  }

  /** Makes a writer that reuses no name of the program, so that crossing values have one name on both sides. */
  #writer(): MilWriter {
    const write = new MilWriter(iosOfOpset(this.#main.function.opset) ?? 0);
    for (const name of this.inputs) write.names.claim(name);
    for (const { writes } of this.operations) for (const name of writes) write.names.claim(name);
    return write;
  }

  #crossing(name: string, { names }: MilWriter): Crossing {
    const type = this.values.get(name);
    if (!type) throw new Error(`${name} cannot cross a cut`);
    const outside = type.dtype === type.outsideDtype ? name : names.claim(`${name}_float32`);
    return { ...type, inside: name, outside };
  }
}

interface MainFunction {
  readonly name: string;
  readonly function: MilFunction;
  readonly block: Block;
  readonly program: Program;
  readonly description: ModelDescription;
}

/** The one function of a model that can be cut. */
function mainFunction({ description, mlProgram: program }: Model, model: string): MainFunction {
  if (!description || !program) throw new Error(`${model} has no description or no program`);
  const [main, ...others] = programFunctions(program);
  if (!main || others.length > 0 || description.functions.length > 0) {
    throw cannotBeCut(model, 'it has several functions');
  }
  if (description.state.length > 0) throw cannotBeCut(model, 'it keeps a state between its runs');
  for (const { name, type } of main.function.inputs) {
    if (!tensorTypeOf(type)?.shape.every(isKnown)) {
      throw cannotBeCut(model, `its input ${name} has no fixed shape`);
    }
  }
  return { ...main, program, description };
}

function describe(operation: Operation): MilOperation {
  const { type, inputs, outputs } = operation;
  const reads = Object.values(inputs).flatMap((input) => input.arguments.flatMap(({ name }) => name ?? []));
  return {
    reads: reads.slice(), // without the room for more that V8 leaves: a megabyte for a UNet
    writes: outputs.map(({ name }) => name),
    weightBytes: [...operationValues(operation)].reduce((sum, [, value]) => sum + sizeInFile(value), 0),
    repeatable: repeatable(type),
    operation,
  };
}

function repeatable(type: string): CutOperation['repeatable'] {
  if (type.startsWith('random_')) return 'never';
  return LAYOUT_OPERATIONS.has(type) ? 'on inputs' : 'on constants';
}

/** The types of the values that can cross: inputs and outputs have at least one dimension, and sizes that are known. */
function crossingTypesOf({ operations }: Block): ReadonlyMap<string, CrossingType> {
  const types = new Map<string, CrossingType>();
  // Thousands of values have the same type.
  const crossing = new Map<ValueType | null, CrossingType | undefined>();
  for (const { name, type } of operations.flatMap(({ outputs }) => outputs)) {
    if (!crossing.has(type)) crossing.set(type, crossingTypeOf(type));
    const known = crossing.get(type);
    if (known) types.set(name, known);
  }
  return types;
}

function crossingTypeOf(type: ValueType | null): CrossingType | undefined {
  const tensor = tensorTypeOf(type);
  const shape = tensor?.shape.filter(isKnown) ?? [];
  const outsideDtype = tensor && crossingTypes[tensor.dtype];
  if (!outsideDtype || shape.length === 0 || shape.length !== tensor.shape.length) return undefined;
  const byteLength = (elementCount(shape) * milElement(outsideDtype).bits) / 8;
  return { dtype: tensor.dtype, outsideDtype, shape, byteLength };
}

function isKnown(size: number | undefined): size is number {
  return size !== undefined;
}

function feature({ outside, outsideDtype, shape }: Crossing): FeatureDescription {
  const { array: dataType = 0 } = milElement(outsideDtype);
  return {
    name: outside,
    shortDescription: '',
    type: { multiArrayType: { shape, dataType }, isOptional: false },
  };
}

function cannotBeCut(name: string, why: string): UnsupportedModelError {
  return new UnsupportedModelError({
    problem: `${name} cannot be cut into chunks: ${why}.`,
    advice: 'Cut a UNet as torch2coreml or sdconvert writes it.',
  });
}
