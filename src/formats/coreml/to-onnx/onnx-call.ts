import type { UnsupportedModelError } from '../../../errors.ts';
import type { OnnxWriter } from '../../onnx/onnx-writer.ts';
import type { Elements } from '../mil/mil-elements.ts';
import { type MilTensorType, tensorTypeOf } from '../mil/mil-program.ts';
import type { Binding, Operation } from '../mil/mil-schema.ts';
import type { OnnxProgram } from './onnx-program.ts';

/** Writes the nodes that give an operation's results. */
export type OnnxLowering = (op: OnnxCall) => void;

type Attributes = Parameters<OnnxWriter['node']>[3];

/** An operation of an ML Program on its way to ONNX: its parameters and the names of its results. */
export class OnnxCall {
  readonly type: string;
  /** Name of its first result in the program. */
  readonly name: string;
  readonly #operation: Operation;
  readonly #program: OnnxProgram;
  readonly #results: readonly string[];
  #steps = 0;

  /** `results` are the names of the results in the ONNX model. */
  constructor(program: OnnxProgram, operation: Operation, results: readonly string[]) {
    this.type = operation.type;
    this.name = operation.outputs[0]?.name ?? operation.type;
    this.#program = program;
    this.#operation = operation;
    this.#results = results;
  }

  get write(): OnnxWriter {
    return this.#program.write;
  }

  has(parameter: string): boolean {
    return this.#bindings(parameter).length > 0;
  }

  /** The name of the value that a parameter has. Throws when it has none. */
  operand(parameter: string): string {
    const [name] = this.operands(parameter);
    if (name === undefined) throw this.refuse(`it has no ${parameter}`);
    return name;
  }

  /** The names of all values that a parameter has. */
  operands(parameter: string): string[] {
    return this.#bindings(parameter).map(({ name, value }, index) => {
      if (name !== undefined) return this.#program.nameOf(name);
      if (value) return this.#program.literal(`${this.name}/${parameter}${index || ''}`, value);
      throw this.refuse(`its ${parameter} is empty`);
    });
  }

  /** The type of the value that a parameter has. Throws when it has none. */
  typeOf(parameter: string): MilTensorType {
    const [{ name, value } = {}] = this.#bindings(parameter);
    const type = name === undefined ? tensorTypeOf(value?.type ?? null) : this.#program.typeOf(name);
    if (!type) throw this.refuse(`it has no ${parameter}`);
    return type;
  }

  rankOf(parameter: string): number {
    return this.typeOf(parameter).shape.length;
  }

  /** Number of axes of a parameter's value beyond so many. Throws where it has fewer. */
  axesBeyond(parameter: string, count: number): number {
    const rest = this.rankOf(parameter) - count;
    if (rest < 0 || !Number.isInteger(rest)) throw this.refuse(`its ${parameter} has too few axes`);
    return rest;
  }

  /** A size of a parameter's value; −1 is the last axis. Throws for one that is only known when the model runs. */
  sizeOf(parameter: string, axis: number): number {
    const size = this.typeOf(parameter).shape.at(axis);
    if (size === undefined) throw this.refuse(`the shape of its ${parameter} is not fixed`);
    return size;
  }

  resultType(index = 0): MilTensorType {
    return this.#program.typeOf(this.#operation.outputs[index]?.name ?? '');
  }

  /** Number of results. */
  get resultCount(): number {
    return this.#results.length;
  }

  /** The constant elements of a parameter; `undefined` when it is left out. Throws when it is computed. */
  elements(parameter: string): Elements | undefined {
    const [binding] = this.#bindings(parameter);
    if (!binding) return undefined;
    const { name, value } = binding;
    const elements =
      name === undefined ? value && this.#program.elementsIn(value) : this.#program.elementsOf(name);
    if (!elements) throw this.refuse(`its ${parameter} is not a constant`);
    return elements;
  }

  /** Whether a parameter is given, and constant. */
  isConstant(parameter: string): boolean {
    const [binding] = this.#bindings(parameter);
    return binding !== undefined && (binding.name === undefined || this.#program.isConstant(binding.name));
  }

  /** The whole numbers of a parameter; throws where it has others. */
  ints(parameter: string): readonly number[] | undefined {
    return this.elements(parameter)?.map((element) => this.#whole(parameter, element));
  }

  int(parameter: string, otherwise: number): number {
    return this.#whole(parameter, this.elements(parameter)?.[0] ?? otherwise);
  }

  #whole(parameter: string, element: Elements[number]): number {
    const number = typeof element === 'string' ? Number.NaN : Number(element);
    if (!Number.isInteger(number)) throw this.refuse(`its ${parameter} is not of whole numbers`);
    return number;
  }

  /** A fraction, as an operation in float32 reads it. */
  float(parameter: string, otherwise: number): number {
    const element = this.elements(parameter)?.[0] ?? otherwise;
    if (typeof element === 'string') throw this.refuse(`its ${parameter} is a text`);
    return Math.fround(Number(element));
  }

  flag(parameter: string): boolean {
    return this.elements(parameter)?.[0] === true;
  }

  flags(parameter: string, count: number): readonly boolean[] {
    return this.elements(parameter)?.map(Boolean) ?? Array(count).fill(false);
  }

  text(parameter: string, otherwise: string): string {
    return String(this.elements(parameter)?.[0] ?? otherwise);
  }

  /** The name of a float32 tensor [] of a number. */
  scalar(value: number): string {
    return this.#program.scalar(value);
  }

  /** Writes a node on the way to the results; gives the name of its value. */
  step(opType: string, inputs: readonly string[], attributes: Attributes = {}): string {
    return this.write.node1(opType, inputs, `${this.name}/${++this.#steps}`, attributes);
  }

  /** Writes the node that gives a result. */
  result(opType: string, inputs: readonly string[], attributes: Attributes = {}, index = 0): void {
    this.write.node(opType, inputs, this.#results[index] ?? '', attributes);
  }

  /** An error that says why the operation cannot be run here. */
  refuse(why: string): UnsupportedModelError {
    return this.#program.unsupported(`${this.type} is not supported where ${why}`, { value: this.name });
  }

  #bindings(parameter: string): readonly Binding[] {
    const { inputs } = this.#operation;
    return Object.hasOwn(inputs, parameter) ? (inputs[parameter]?.arguments ?? []) : [];
  }
}
