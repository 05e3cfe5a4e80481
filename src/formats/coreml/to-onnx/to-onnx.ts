import { type DType, elementCount } from '../../../weights/dtype.ts';
import type { OnnxModel } from '../../onnx/build-model.ts';
import { dataTypes, type ValueInfoProto } from '../../onnx/proto.ts';
import type { MilDType } from '../mil/mil-dtype.ts';
import { type Elements, isFraction } from '../mil/mil-elements.ts';
import type { MilModel } from '../mil/mil-model.ts';
import { type MilTensorType, programFunctions, tensorTypeOf } from '../mil/mil-program.ts';
import type { Block, NamedValueType, Operation, Value } from '../mil/mil-schema.ts';
import type { WeightFiles } from '../package/weight-blobs.ts';
import { isDecoder, readConstant } from './decode-constant.ts';
import { OnnxCall, type OnnxLowering } from './onnx-call.ts';
import { computations } from './onnx-computations.ts';
import { movements } from './onnx-movements.ts';
import { OnnxProgram } from './onnx-program.ts';

/** Options of translating an ML Program to ONNX. */
export interface ToOnnxOptions {
  /**
   * Whether results that the program declares float16 are rounded to float16, so that overflow shows; otherwise they stay
   * float32. Weights keep their stored values either way.
   */
  readonly roundToFloat16: boolean;
  /** The folder that the ONNX model's data is in, at any depth: locations are relative to it. */
  readonly dataFolder: string;
  /** The folder inside of it where decoded weights will be. */
  readonly decodedFolder: string;
}

/** An ML Program as ONNX. Its weights lie in the program's weight files, but for the compressed ones: those, decoded, are `dataFiles`. */
export interface OnnxOfProgram extends OnnxModel {
  /** Values that the output `NOT_FINITE` reports on, with `roundToFloat16`. */
  readonly trace: readonly TracedValue[];
}

/** A value of the program, and its inputs. */
export interface TracedValue {
  readonly name: string;
  /** The type of the operation that gives it: `conv`. */
  readonly operation: string;
  readonly inputs: readonly string[];
  /** Its place in the output `NOT_FINITE`; values that were only moved have none. */
  readonly index?: number;
}

/** The output, bool [n], that says which values hold an infinity or a NaN. No value of a program can have this name. */
export const NOT_FINITE = '/not_finite';

/**
 * The ONNX model, of opset 21, that computes what the function `main` of an ML Program does. Fractions are float32,
 * inputs and outputs too where the program has float16. Few and small constants are read; the streams of `dataFiles` read
 *the others, while `model` is open. Throws `UnsupportedModelError`, naming the operation and the value, where there is no
 * translation.
 */
export async function milToOnnx(model: MilModel, options: ToOnnxOptions): Promise<OnnxOfProgram> {
  const { path, weights } = model;
  const functions = programFunctions(model.program);
  const main = functions.find(({ name }) => name === 'main');
  const block = main?.block ?? { inputs: [], outputs: [], operations: [], attributes: {} };
  const program = new OnnxProgram(path, weights, await smallConstants(block, weights), options);
  if (!main) {
    throw program.unsupported('it has no function main', {
      functions: functions.map(({ name }) => name).join(', '),
    });
  }
  refuseUnknown(program, block);

  const tracer = options.roundToFloat16 ? new Tracer(program) : undefined;
  const inputs = main.function.inputs.map((input) => writeInput(program, input, tracer));
  for (const operation of block.operations) writeOperation(program, operation, tracer);
  const outputs = block.outputs.map((name) => writeOutput(program, name));
  return {
    ...program.finish(inputs, [...outputs, ...(tracer?.finish() ?? [])]),
    trace: tracer?.trace ?? [],
  };
}

function refuseUnknown(program: OnnxProgram, { operations }: Block): void {
  const unknown = operations.filter((operation) => !isConstant(operation) && !loweringOf(operation));
  const [first] = unknown;
  if (!first) return;
  const types = new Set(unknown.map(({ type }) => type));
  throw program.unsupported(`the operation ${first.type} is not supported`, {
    value: first.outputs[0]?.name ?? '',
    ...(types.size > 1 && { 'all of these are not': [...types].join(', ') }),
  });
}

function isConstant(operation: Operation): boolean {
  return operation.type === 'const' || isDecoder(operation);
}

function loweringOf({ type }: Operation): OnnxLowering | undefined {
  return Object.hasOwn(computations, type) ? computations[type] : movements[type];
}

function writeOperation(program: OnnxProgram, operation: Operation, tracer: Tracer | undefined): void {
  for (const output of operation.outputs) program.declare(output);
  if (isConstant(operation)) {
    program.constant(operation);
    return;
  }
  const computes = Object.hasOwn(computations, operation.type);
  const results = operation.outputs.map(({ name }) => {
    const { dtype } = program.typeOf(name);
    // The plain names are those of inputs and outputs, which differ from the values inside in their dtypes.
    const final = `${name}/${program.kindOf(name, dtype)}`;
    return { name, final, rounds: tracer !== undefined && computes && dtype === 'fp16' };
  });
  const targets = results.map(({ final, rounds }) => (rounds ? `${final}/exact` : final));
  loweringOf(operation)?.(new OnnxCall(program, operation, targets));
  for (const { name, final, rounds } of results) {
    if (rounds) roundToFloat16(program, `${final}/exact`, final);
    program.define(name, final);
  }
  tracer?.add(operation, computes);
}

function roundToFloat16({ write }: OnnxProgram, exact: string, name: string): void {
  const rounded = write.node1('Cast', [exact], `${name}/float16`, { to: dataTypes.f16 });
  write.node('Cast', [rounded], name, { to: dataTypes.f32 });
}

function writeInput(program: OnnxProgram, input: NamedValueType, tracer: Tracer | undefined): ValueInfoProto {
  program.declare(input);
  const { name } = input;
  const type = program.typeOf(name);
  const kind = program.kindOf(name, type.dtype);
  const inside = `${name}/${kind}`;
  if (tracer && type.dtype === 'fp16') roundToFloat16(program, name, inside);
  else program.write.node('Cast', [name], inside, { to: dataTypes[kind] });
  program.define(name, inside);
  tracer?.addInput(name);
  return valueInfo(program, name, type);
}

function writeOutput(program: OnnxProgram, name: string): ValueInfoProto {
  const type = program.typeOf(name);
  const dtype = borderDType(program, name, type.dtype);
  program.write.node('Cast', [program.nameOf(name)], name, { to: dataTypes[dtype] });
  return valueInfo(program, name, type);
}

function valueInfo(program: OnnxProgram, name: string, { dtype, shape }: MilTensorType): ValueInfoProto {
  const dim = shape.map((size, axis) =>
    size === undefined ? { dimParam: `${name}_${axis}` } : { dimValue: size },
  );
  const elemType = dataTypes[borderDType(program, name, dtype)];
  return { name, type: { tensorType: { elemType, shape: { dim } } } };
}

/** The dtype of an input or output: float32 for float16, because runtimes differ in how they take float16. */
function borderDType(program: OnnxProgram, name: string, dtype: MilDType): DType {
  const kind = program.kindOf(name, dtype);
  return kind === 'i64' ? (borderIntegers[dtype] ?? 'i64') : kind;
}

const borderIntegers: { readonly [D in MilDType]?: DType } = {
  int8: 'i8',
  int16: 'i16',
  int32: 'i32',
  uint8: 'u8',
  uint16: 'u16',
  uint32: 'u32',
};

/** Parameters that lie in a weight file, as those of ten numbers and more do from iOS 18 on. */
async function smallConstants(
  { operations }: Block,
  weights: WeightFiles,
): Promise<ReadonlyMap<Value, Elements>> {
  const found = new Map<Value, Elements>();
  for (const { attributes } of operations) {
    const { val } = attributes;
    const type = val?.blobFileValue && tensorTypeOf(val.type);
    if (!type || isFraction(type.dtype) || elementCount(type.shape.map(Number)) > MOST_NUMBERS) continue;
    found.set(val, Array.from((await readConstant(val, weights))?.data ?? []));
  }
  return found;
}

/** More than two for each axis are never asked for. */
const MOST_NUMBERS = 64;

/** Operations that apply masks: their constants may be −∞ on purpose, and so their results. */
const masking = new Set(['add', 'sub', 'mul', 'real_div', 'maximum', 'minimum', 'select']);

/** onnxruntime takes time in the square of the inputs of a node to load it: 24 s for 8,000, 2 s with groups of this size. */
const MOST_JOINED = 64;

/** Adds the detection of non-finite values to a program. */
class Tracer {
  readonly trace: TracedValue[] = [];
  readonly #program: OnnxProgram;
  readonly #flags: string[] = [];
  readonly #constants = new Set<string>();

  constructor(program: OnnxProgram) {
    this.#program = program;
  }

  addInput(name: string): void {
    this.#addComputed(name, 'input', []);
  }

  add({ type, inputs, outputs }: Operation, computes: boolean): void {
    const names = Object.values(inputs).flatMap(({ arguments: bindings }) =>
      bindings.flatMap(({ name }) => name ?? []),
    );
    if (masking.has(type)) for (const name of names) this.#addConstant(name);
    for (const { name } of outputs) {
      if (computes) this.#addComputed(name, type, names);
      else this.trace.push({ name, operation: type, inputs: names });
    }
  }

  finish(): ValueInfoProto[] {
    const { write } = this.#program;
    const parts = Array.from({ length: Math.ceil(this.#flags.length / MOST_JOINED) }, (_, part) => {
      const flags = this.#flags.slice(part * MOST_JOINED, (part + 1) * MOST_JOINED);
      return write.node1('Concat', flags, `${NOT_FINITE}/${part}`, { axis: 0 });
    });
    write.node('Concat', parts, NOT_FINITE, { axis: 0 });
    const dim = [{ dimValue: this.#flags.length }];
    return [{ name: NOT_FINITE, type: { tensorType: { elemType: dataTypes.bool, shape: { dim } } } }];
  }

  #addConstant(name: string): void {
    if (!this.#program.isConstant(name) || this.#constants.has(name)) return;
    this.#constants.add(name);
    if (this.#isFraction(name)) this.#addFlag(name, 'const', []);
  }

  #addComputed(name: string, operation: string, inputs: readonly string[]): void {
    if (!this.#isFraction(name)) {
      this.trace.push({ name, operation, inputs });
      return;
    }
    const flag = this.#addFlag(name, operation, inputs);
    // Readers of the value wait for its flag. Otherwise onnxruntime computes the flags last and keeps all values until then.
    const value = this.#program.nameOf(name);
    this.#program.define(name, this.#program.write.node1('Where', [flag, value, value], `${name}/traced`));
  }

  /** x · 0 is NaN where x is not finite, and so is the sum of a tensor of it. */
  #addFlag(name: string, operation: string, inputs: readonly string[]): string {
    const { write } = this.#program;
    const zeros = write.node1('Mul', [this.#program.nameOf(name), this.#program.scalar(0)], `${name}/zeros`);
    const row = write.node1('Reshape', [zeros, write.int64s([-1])], `${name}/row`);
    const sum = write.node1('ReduceSum', [row], `${name}/sum`, { keepdims: 1 });
    const flag = write.node1('IsNaN', [sum], `${name}/not_finite`);
    this.trace.push({ name, operation, inputs, index: this.#flags.length });
    this.#flags.push(flag);
    return flag;
  }

  #isFraction(name: string): boolean {
    return isFraction(this.#program.typeOf(name).dtype);
  }
}
