import { type DType, elementCount } from '../../../weights/dtype.ts';
import { dataTypes, type ValueInfoProto } from '../../onnx/proto.ts';
import { roundToFloat16, Tracer } from '../../onnx/translated/non-finite.ts';
import type { ToOnnxOptions, Translation } from '../../onnx/translated/run-translated.ts';
import { valueInfo } from '../../onnx/translated/translated-model.ts';
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
import { OnnxProgram, storedDTypes } from './onnx-program.ts';

/**
 * The ONNX model, of opset 21, that computes what the function `main` of an ML Program does. Fractions are float32,
 * inputs and outputs too where the program has float16. Few and small constants are read; the streams of `dataFiles` read
 *the others, while `model` is open. Throws `UnsupportedModelError`, naming the operation and the value, where there is no
 * translation.
 */
export async function milToOnnx(model: MilModel, options: ToOnnxOptions): Promise<Translation> {
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
    ...program.finish(inputs, [...outputs, ...(tracer?.finish() ?? [])], program.values()),
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
  tracer?.add({ ...namesOf(operation), computes, masks: masking.has(operation.type) });
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
  return border(program, name, type);
}

function writeOutput(program: OnnxProgram, name: string): ValueInfoProto {
  const type = program.typeOf(name);
  const dtype = borderDType(program, name, type.dtype);
  program.write.node('Cast', [program.nameOf(name)], name, { to: dataTypes[dtype] });
  return border(program, name, type);
}

function border(program: OnnxProgram, name: string, { dtype, shape }: MilTensorType): ValueInfoProto {
  return valueInfo(name, borderDType(program, name, dtype), shape, (axis) => `${name}_${axis}`);
}

/** The dtype of an input or output: float32 for float16, because runtimes differ in how they take float16. */
function borderDType(program: OnnxProgram, name: string, dtype: MilDType): DType {
  const kind = program.kindOf(name, dtype);
  return kind === 'i64' ? (storedDTypes[dtype] ?? 'i64') : kind;
}

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

function namesOf({ type, inputs, outputs }: Operation) {
  const read = Object.values(inputs).flatMap(({ arguments: bindings }) =>
    bindings.flatMap(({ name }) => name ?? []),
  );
  return { type, inputs: read, outputs: outputs.map(({ name }) => name) };
}
