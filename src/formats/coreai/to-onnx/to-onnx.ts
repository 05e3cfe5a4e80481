import type { DType } from '../../../weights/dtype.ts';
import { dataTypes, type ValueInfoProto } from '../../onnx/proto.ts';
import { roundToFloat16, Tracer } from '../../onnx/translated/non-finite.ts';
import type { ToOnnxOptions, Translation } from '../../onnx/translated/run-translated.ts';
import { valueInfo } from '../../onnx/translated/translated-model.ts';
import { elementsOf } from '../constants.ts';
import { calleeOf, mainGraph, plainName } from '../functions.ts';
import type { CoreAiAsset } from '../open-asset.ts';
import type { Element, Operation, Port, ProgramGraph, TensorType, Value } from '../program.ts';
import { isDecoder } from './decode-constant.ts';
import { OnnxCall, type OnnxLowering } from './onnx-call.ts';
import { computations, mayMask } from './onnx-computations.ts';
import { movements } from './onnx-movements.ts';
import { OnnxProgram, type Scope, storedDTypes } from './onnx-program.ts';

/**
 * The ONNX model, of opset 21, that computes what the function `main` of a Core AI asset does. Fractions are float32, inputs
 * and outputs too where the program has float16. No weight is read; the streams of `dataFiles` read the compressed ones, while
 * the asset is open. Throws `UnsupportedModelError`, naming the operation, where there is no translation.
 */
export async function coreAiToOnnx(
  { path, program: { graphs } }: CoreAiAsset,
  options: ToOnnxOptions,
): Promise<Translation> {
  const program = new OnnxProgram(path, options);
  const main = mainGraph(graphs);
  if (!main) throw program.unsupported('it has no function main');
  const tracer = options.roundToFloat16 ? new Tracer(program) : undefined;
  const translator = new Translator(program, graphs, tracer);
  const scope: Scope = new Map();
  const inputs = main.inputs.map((port, at) =>
    writeInput(program, scope, namedPort(port, `input_${at + 1}`), tracer),
  );
  translator.operations(main.operations, scope, 0);
  const outputs = main.outputs.map((port, at) =>
    writeOutput(program, scope, namedPort(port, `output_${at + 1}`)),
  );
  return {
    ...program.finish(inputs, [...outputs, ...(tracer?.finish() ?? [])], program.values()),
    trace: tracer?.trace ?? [],
  };
}

/** Graphs that call graphs: two text encoders in one call their norms, which makes three. */
const DEEPEST = 16;

/** Most operations that are written, and values that they read: a graph that is called is written for every call. */
const MOST_WRITTEN = 1 << 18;

/** Writes operations, those of called graphs in their place. */
class Translator {
  readonly #program: OnnxProgram;
  readonly #graphs: ReadonlyMap<string, ProgramGraph>;
  readonly #tracer: Tracer | undefined;
  #written = 0;

  constructor(program: OnnxProgram, graphs: readonly ProgramGraph[], tracer: Tracer | undefined) {
    this.#program = program;
    this.#graphs = new Map(graphs.map((graph) => [graph.name, graph]));
    this.#tracer = tracer;
  }

  /** Throws `UnsupportedModelError` for operations that are not known, and for graphs that call each other without end. */
  operations(operations: readonly Operation[], scope: Scope, depth: number): void {
    for (const operation of operations) {
      this.#written += 1 + operation.operands.length;
      if (this.#written > MOST_WRITTEN || depth > DEEPEST)
        throw this.#program.unsupported('its functions call each other too often');
      this.#operation(operation, scope, depth);
    }
  }

  #operation(operation: Operation, scope: Scope, depth: number): void {
    const { name, operands, regions } = operation;
    const [region] = regions;
    if (elementsOf(operation) || isDecoder(operation)) this.#program.constant(scope, operation);
    else if (name === 'dataflow.invoke_v1') this.#invoke(operation, scope, depth);
    else if (loweringOf(name)) this.#lower(operation, scope);
    else if (region && !name.startsWith('primitive.')) {
      // A composite operation: the last of its region says what it gives.
      const end = region.operations.at(-1);
      this.#inline(operation, { ...region, given: operands, results: end?.operands ?? [] }, scope, depth);
    } else this.#refuse(name);
  }

  #invoke(operation: Operation, scope: Scope, depth: number): void {
    const callee = calleeOf(operation);
    const graph = this.#graphs.get(callee ?? '');
    if (!graph) throw this.#program.unsupported(`it has no function ${callee}, which is called`);
    const body = {
      arguments: graph.inputs.map(({ value }) => value),
      operations: graph.operations,
      given: operation.operands,
      results: graph.outputs.map(({ value }) => value),
    };
    this.#inline(operation, body, scope, depth);
  }

  #inline({ name, results }: Operation, body: Body, scope: Scope, depth: number): void {
    const inner: Scope = new Map();
    for (const [at, value] of body.arguments.entries())
      inner.set(value, this.#nameIn(scope, body.given[at], name));
    const operations = body.operations.filter((each) => each.name !== 'dataflow.yield_v1');
    this.operations(operations, inner, depth + 1);
    for (const [at, value] of results.entries())
      scope.set(value, this.#nameIn(inner, body.results[at], name));
  }

  #lower(operation: Operation, scope: Scope): void {
    const { name, operands, results } = operation;
    const program = this.#program;
    const computes = Object.hasOwn(computations, name);
    const given = operands.map((value) => this.#nameIn(scope, value, name));
    const outputs = results.map((value) => {
      const output = program.declare(scope, value, plainName(name));
      const final = `${output}/${program.kindOf(value.type.element)}`;
      return {
        output,
        final,
        rounds: this.#tracer !== undefined && computes && value.type.element === 'f16',
      };
    });
    const targets = outputs.map(({ final, rounds }) => (rounds ? `${final}/exact` : final));
    loweringOf(name)?.(new OnnxCall(program, operation, given, targets));
    for (const { output, final, rounds } of outputs) {
      if (rounds) roundToFloat16(program, `${final}/exact`, final);
      program.define(output, final);
    }
    const traced = { type: plainName(name), inputs: given, outputs: outputs.map(({ output }) => output) };
    this.#tracer?.add({ ...traced, computes, masks: mayMask(name) });
  }

  #nameIn(scope: Scope, value: Value | undefined, operation: string): string {
    const name = value && scope.get(value);
    if (name === undefined) throw this.#program.unsupported(`${operation} reads a value that nothing gives`);
    return name;
  }

  #refuse(name: string): never {
    throw this.#program.unsupported(`the operation ${name} is not supported`);
  }
}

/** Operations in the place of one. */
interface Body {
  readonly arguments: readonly Value[];
  readonly operations: readonly Operation[];
  /** What the arguments are. */
  readonly given: readonly Value[];
  /** What it gives, among its own values. */
  readonly results: readonly Value[];
}

function loweringOf(name: string): OnnxLowering | undefined {
  if (Object.hasOwn(computations, name)) return computations[name];
  return Object.hasOwn(movements, name) ? movements[name] : undefined;
}

interface NamedPort {
  readonly name: string;
  readonly value: Value;
}

function namedPort({ name, value }: Port, otherwise: string): NamedPort {
  return { name: name ?? otherwise, value };
}

function writeInput(
  program: OnnxProgram,
  scope: Scope,
  { name, value }: NamedPort,
  tracer: Tracer | undefined,
): ValueInfoProto {
  const inner = program.declare(scope, value, name);
  const { element } = value.type;
  const kind = program.kindOf(element);
  const inside = `${inner}/${kind}`;
  if (tracer && element === 'f16') roundToFloat16(program, name, inside);
  else program.write.node('Cast', [name], inside, { to: dataTypes[kind] });
  program.define(inner, inside);
  tracer?.addInput(inner);
  return border(program, name, value.type);
}

function writeOutput(program: OnnxProgram, scope: Scope, { name, value }: NamedPort): ValueInfoProto {
  const inner = scope.get(value);
  if (inner === undefined) throw program.unsupported(`nothing gives its output ${name}`);
  const to = dataTypes[borderDType(program, value.type.element)];
  program.write.node('Cast', [program.nameOf(inner)], name, { to });
  return border(program, name, value.type);
}

function border(program: OnnxProgram, name: string, { element, shape }: TensorType): ValueInfoProto {
  return valueInfo(name, borderDType(program, element), shape, (axis) => `${name}_${axis}`);
}

/** The dtype of an input or output: float32 for float16, because runtimes differ in how they take float16. */
function borderDType(program: OnnxProgram, element: Element): DType {
  const kind = program.kindOf(element);
  return kind === 'i64' ? (storedDTypes[element] ?? 'i64') : kind;
}
