import { isFixed } from '../../../graph/shape.ts';
import type { Tensor } from '../../../graph/tensor.ts';
import { byteSize, type DType, elementCount } from '../../../weights/dtype.ts';
import { memoryStream, streamIn } from '../../../weights/tensor-stream.ts';
import type { Weight } from '../../../weights/weight.ts';
import { type MilDType, toMilDType } from '../mil/mil-dtype.ts';
import { isFraction } from '../mil/mil-elements.ts';
import { MilNames } from '../mil/mil-names.ts';
import type { Argument, Block, Operation, Value } from '../mil/mil-schema.ts';
import { immediate, type Literal, literalBytes, namedType, streamed, text } from '../mil/mil-value.ts';
import { FEWEST_IN_FILE } from '../package/lay-out.ts';

/** Binding of a parameter: a value by name, a literal, or a list of them; `undefined` where it is left out. */
export type Parameter = string | Literal | readonly (string | Literal)[] | undefined;

/** A value to be computed. */
export interface Result {
  readonly name: string;
  readonly dtype: MilDType;
  readonly shape: readonly number[];
}

/** One for all operations, which are many. */
const NO_BLOCKS: readonly Block[] = [];

/**
 * Records the operations of a program in order. A literal becomes a `const` operation right before its first use; equal
 * literals of one parameter are one constant.
 */
export class MilWriter {
  /** The version of iOS whose operations may be used. */
  readonly ios: number;
  readonly names = new MilNames();
  readonly operations: Operation[] = [];
  readonly #literals = new Map<string, string>();
  /** By the value's name. A UNet has 75,000 arguments of 20,000 names. */
  readonly #arguments = new Map<string, Argument>();

  constructor(ios: number) {
    this.ios = ios;
  }

  /** Records an operation of a type with these parameters. */
  operation(
    type: string,
    parameters: Readonly<Record<string, Parameter>>,
    { name, dtype, shape }: Result,
  ): void {
    const inputs: Record<string, Argument> = {};
    for (const [key, parameter] of Object.entries(parameters)) {
      if (parameter === undefined) continue;
      inputs[key] = isList(parameter)
        ? { arguments: parameter.map((each) => ({ name: this.#bind(key, each) })) }
        : this.#argument(this.#bind(key, parameter));
    }
    const attributes = { name: immediate(text(name)) };
    const outputs = [namedType(name, dtype, shape)];
    this.operations.push({ type, inputs, outputs, blocks: NO_BLOCKS, attributes });
  }

  /** Records an operation on the way to `result`, with a shape of its own; gives the name of its value. */
  step(
    result: Result,
    part: string,
    shape: readonly number[],
    type: string,
    parameters: Readonly<Record<string, Parameter>>,
  ): string {
    const name = this.names.claim(`${result.name}_${part}`);
    this.operation(type, parameters, { name, dtype: result.dtype, shape });
    return name;
  }

  /** Records a constant that is a weight of the checkpoint, unread. Throws `Error` for whole numbers, which no network has. */
  weight({ name, dtype: milDType, shape }: Result, weight: Weight, dtype: DType): void {
    if (!isFraction(milDType)) throw new Error(`${weight.name} is ${dtype}, not a fraction`);
    const stream = {
      name: weight.name,
      byteLength: byteSize(shape, dtype),
      stream: streamIn(weight, dtype),
    };
    this.#constant(name, streamed(milDType, shape, stream));
  }

  /** Records a constant of known value; a large one goes to the weight file. */
  literal(name: string, literal: Literal): void {
    const { dtype, shape } = literal;
    if (!isFraction(dtype) || elementCount(shape) < FEWEST_IN_FILE) {
      this.#constant(name, immediate(literal));
      return;
    }
    const bytes = literalBytes(literal);
    this.#constant(name, streamed(dtype, shape, memoryStream(name, bytes)));
  }

  #argument(name: string): Argument {
    const known = this.#arguments.get(name);
    if (known) return known;
    const argument = { arguments: [{ name }] };
    this.#arguments.set(name, argument);
    return argument;
  }

  #bind(key: string, parameter: string | Literal): string {
    if (typeof parameter === 'string') return parameter;
    const identity = `${key} ${parameter.dtype} [${parameter.shape}] ${parameter.data}`;
    const known = this.#literals.get(identity);
    if (known !== undefined) return known;
    const name = this.names.claim(key);
    this.#literals.set(identity, name);
    this.literal(name, parameter);
    return name;
  }

  #constant(name: string, val: Value): void {
    const attributes = { name: immediate(text(name)), val };
    this.operations.push({
      type: 'const',
      inputs: {},
      outputs: [{ name, type: val.type }],
      blocks: NO_BLOCKS,
      attributes,
    });
  }
}

/** The value that a tensor becomes under `name`. Throws `Error` for a free size: these programs have fixed ones. */
export function resultOf({ name: origin, dtype, shape }: Tensor, name: string): Result {
  if (!isFixed(shape)) throw new Error(`${origin} has a size that is not fixed`);
  return { name, dtype: toMilDType(dtype), shape };
}

function isList(parameter: NonNullable<Parameter>): parameter is readonly (string | Literal)[] {
  return Array.isArray(parameter);
}
