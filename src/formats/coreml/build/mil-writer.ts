import { isFixed } from '../../../graph/shape.ts';
import type { Tensor } from '../../../graph/tensor.ts';
import { byteSize, type DType, elementCount } from '../../../weights/dtype.ts';
import type { Weight } from '../../../weights/weight.ts';
import { type MilDType, toMilDType } from '../mil/mil-dtype.ts';
import { MilNames } from '../mil/mil-names.ts';
import type { Argument, Operation, Value } from '../mil/mil-schema.ts';
import { blob, immediate, type Literal, literalBytes, namedType, text } from '../mil/mil-value.ts';
import { type Blob, WEIGHT_FILE_REFERENCE, WeightFileLayout } from '../package/weight-file.ts';

/** What an operation's parameter is bound to: a value by name, a literal, or a list of them. A parameter that is left out is `undefined`. */
export type Parameter = string | Literal | readonly (string | Literal)[] | undefined;

/** A value to be computed. */
export interface Result {
  readonly name: string;
  readonly dtype: MilDType;
  readonly shape: readonly number[];
}

/**
 * Arrays of fractions from this size on lie in the weight file, as with Apple's converter: large float16 values in the
 * program itself crash the runtime.
 */
export const FEWEST_IN_FILE = 10;

/** The elements of a weight that is too small for the weight file, converted to `dtype`. */
export type SmallWeights = (weight: Weight, dtype: DType) => readonly number[];

/**
 * Records the operations of a program in order. A literal becomes a `const` operation right before its first use; equal
 * literals of one parameter are one constant.
 */
export class MilWriter {
  /** The version of iOS whose operations may be used. */
  readonly ios: number;
  readonly names = new MilNames();
  readonly operations: Operation[] = [];
  readonly weights = new WeightFileLayout();
  readonly #literals = new Map<string, string>();
  readonly #smallWeights: SmallWeights;

  constructor(ios: number, smallWeights: SmallWeights) {
    this.ios = ios;
    this.#smallWeights = smallWeights;
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
      const bound = isList(parameter) ? parameter : [parameter];
      inputs[key] = { arguments: bound.map((each) => ({ name: this.#bind(key, each) })) };
    }
    const attributes = { name: immediate(text(name)) };
    this.operations.push({ type, inputs, outputs: [namedType(name, dtype, shape)], blocks: [], attributes });
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

  /** Records a constant that is a weight of the checkpoint; a small one is written into the program. */
  weight(result: Result, weight: Weight, dtype: DType): void {
    if (belongsInFile(result)) {
      const byteLength = byteSize(result.shape, dtype);
      this.#inFile(result, {
        name: weight.name,
        dtype: result.dtype,
        byteLength,
        stream: () => weight.stream(dtype),
      });
    } else {
      this.#constant(result.name, immediate({ ...result, data: this.#smallWeights(weight, dtype) }));
    }
  }

  /** Records a constant of known value; a large one goes to the weight file. */
  literal(name: string, literal: Literal): void {
    if (belongsInFile(literal)) {
      const bytes = literalBytes(literal);
      const source = { name, dtype: literal.dtype, byteLength: bytes.length, stream: () => [bytes] };
      this.#inFile({ ...literal, name }, source);
    } else {
      this.#constant(name, immediate(literal));
    }
  }

  #inFile({ name, dtype, shape }: Result, source: Blob): void {
    this.#constant(name, blob(dtype, shape, WEIGHT_FILE_REFERENCE, this.weights.add(source)));
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
      blocks: [],
      attributes,
    });
  }
}

/** Whether a constant is stored in the weight file. */
function belongsInFile({ dtype, shape }: { dtype: MilDType; shape: readonly number[] }): boolean {
  return (dtype === 'fp16' || dtype === 'fp32') && elementCount(shape) >= FEWEST_IN_FILE;
}

/** The value that a tensor becomes under `name`. Throws `Error` for a free size: these programs have fixed ones. */
export function resultOf({ name: origin, dtype, shape }: Tensor, name: string): Result {
  if (!isFixed(shape)) throw new Error(`${origin} has a size that is not fixed`);
  return { name, dtype: toMilDType(dtype), shape };
}

function isList(parameter: NonNullable<Parameter>): parameter is readonly (string | Literal)[] {
  return Array.isArray(parameter);
}
