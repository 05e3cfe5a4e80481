import type { UnsupportedModelError } from '../../../errors.ts';
import type { OnnxWriter } from '../../onnx/onnx-writer.ts';
import type { Attribute, Operation, TensorType } from '../program.ts';
import type { OnnxProgram } from './onnx-program.ts';

/** Writes the nodes that give an operation's results. */
export type OnnxLowering = (op: OnnxCall) => void;

type NodeAttributes = Parameters<OnnxWriter['node']>[3];

/** An operation of a Core AI program on its way to ONNX: its operands and the names of its results. */
export class OnnxCall {
  readonly #operation: Operation;
  readonly #program: OnnxProgram;
  readonly #operands: readonly string[];
  readonly #results: readonly string[];
  #steps = 0;

  /** `operands` are names in the program, `results` those in the ONNX model. */
  constructor(
    program: OnnxProgram,
    operation: Operation,
    operands: readonly string[],
    results: readonly string[],
  ) {
    this.#program = program;
    this.#operation = operation;
    this.#operands = operands;
    this.#results = results;
  }

  get write(): OnnxWriter {
    return this.#program.write;
  }

  /** Number of operands. */
  get count(): number {
    return this.#operands.length;
  }

  /** The name of an operand in ONNX. Throws where there is none. */
  operand(at: number): string {
    return this.#program.nameOf(this.#name(at));
  }

  /** The names of the operands from one on. */
  operands(from = 0): string[] {
    return this.#operands.slice(from).map((name) => this.#program.nameOf(name));
  }

  typeOf(at: number): TensorType {
    return this.#program.typeOf(this.#name(at));
  }

  rankOf(at: number): number {
    return this.typeOf(at).shape.length;
  }

  /** The sizes of an operand. Throws for free ones. */
  shapeOf(at: number): number[] {
    return this.#fixed(this.typeOf(at), `operand ${at}`);
  }

  resultType(index = 0): TensorType {
    const type = this.#operation.results[index]?.type;
    if (!type) throw this.refuse('it gives nothing');
    return type;
  }

  /** The sizes of the result. Throws for free ones. */
  resultShape(): number[] {
    return this.#fixed(this.resultType(), 'result');
  }

  /** The whole numbers of a constant operand. Throws for one that is computed, and for fractions. */
  numbers(at: number): readonly number[] {
    const numbers = this.fractions(at);
    if (!numbers.every(Number.isSafeInteger)) throw this.refuse(`operand ${at} is not of whole numbers`);
    return numbers;
  }

  /** The numbers of a constant operand. Throws for one that is computed. */
  fractions(at: number): readonly number[] {
    const numbers = this.#program.numbersOf(this.#name(at));
    if (!numbers) throw this.refuse(`operand ${at} is not a constant of the program`);
    return numbers;
  }

  number(at: number): number {
    const [number] = this.numbers(at);
    if (number === undefined) throw this.refuse(`operand ${at} is empty`);
    return number;
  }

  /** A choice among ways: its number; 0 where it is not said. */
  choice(of: Extract<Attribute, { kind: 'choice' }>['of']): number {
    const [choice] = this.#operation.properties;
    return choice?.kind === 'choice' && choice.of === of ? choice.value : 0;
  }

  /** The name of a float32 tensor [] of a number. */
  scalar(value: number): string {
    return this.#program.scalar(value);
  }

  /** Writes a node on the way to the results; gives the name of its value. */
  step(opType: string, inputs: readonly string[], attributes: NodeAttributes = {}): string {
    return this.write.node1(opType, inputs, `${this.#results[0]}/${++this.#steps}`, attributes);
  }

  /** Writes the node that gives a result. */
  result(opType: string, inputs: readonly string[], attributes: NodeAttributes = {}, index = 0): void {
    this.write.node(opType, inputs, this.#results[index] ?? '', attributes);
  }

  /** An error that says why the operation cannot be run here. */
  refuse(why: string): UnsupportedModelError {
    return this.#program.unsupported(`${this.#operation.name} is not supported where ${why}`);
  }

  #name(at: number): string {
    const name = this.#operands[at];
    if (name === undefined) throw this.refuse(`it has no operand ${at}`);
    return name;
  }

  #fixed({ shape }: TensorType, of: string): number[] {
    return shape.map((size) => {
      if (size === undefined) throw this.refuse(`the shape of its ${of} is not fixed`);
      return size;
    });
  }
}
