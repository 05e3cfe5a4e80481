import type { OnnxWriter } from '../onnx-writer.ts';
import { dataTypes, type ValueInfoProto } from '../proto.ts';

/** A value of a translated model, and its inputs. */
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

/** onnxruntime takes time in the square of the inputs of a node to load it: 24 s for 8,000, 2 s with groups of this size. */
const MOST_JOINED = 64;

/** What is traced: a model that is being translated. Values have the names of its own format. */
interface Translated {
  readonly write: OnnxWriter;
  scalar(value: number): string;
  /** A value's name in ONNX. */
  nameOf(value: string): string;
  define(value: string, onnxName: string): void;
  isConstant(value: string): boolean;
  isFraction(value: string): boolean;
}

/** An operation whose results are looked at. */
interface TracedOperation {
  readonly type: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Whether it computes new numbers, or only moves them. */
  readonly computes: boolean;
  /** Whether it may apply a mask: its constants may be −∞ on purpose, and so its results. */
  readonly masks: boolean;
}

/** Adds the detection of non-finite values to a model. */
export class Tracer {
  readonly trace: TracedValue[] = [];
  readonly #model: Translated;
  readonly #flags: string[] = [];
  readonly #constants = new Set<string>();

  constructor(model: Translated) {
    this.#model = model;
  }

  addInput(name: string): void {
    this.#addComputed(name, 'input', []);
  }

  add({ type, inputs, outputs, computes, masks }: TracedOperation): void {
    if (masks) for (const name of inputs) this.#addConstant(name);
    for (const name of outputs) {
      if (computes) this.#addComputed(name, type, inputs);
      else this.trace.push({ name, operation: type, inputs });
    }
  }

  finish(): ValueInfoProto[] {
    const { write } = this.#model;
    const parts = Array.from({ length: Math.ceil(this.#flags.length / MOST_JOINED) }, (_, part) => {
      const flags = this.#flags.slice(part * MOST_JOINED, (part + 1) * MOST_JOINED);
      return write.node1('Concat', flags, `${NOT_FINITE}/${part}`, { axis: 0 });
    });
    write.node('Concat', parts, NOT_FINITE, { axis: 0 });
    const dim = [{ dimValue: this.#flags.length }];
    return [{ name: NOT_FINITE, type: { tensorType: { elemType: dataTypes.bool, shape: { dim } } } }];
  }

  #addConstant(name: string): void {
    if (!this.#model.isConstant(name) || this.#constants.has(name)) return;
    this.#constants.add(name);
    if (this.#model.isFraction(name)) this.#addFlag(name, 'const', []);
  }

  #addComputed(name: string, operation: string, inputs: readonly string[]): void {
    if (!this.#model.isFraction(name)) {
      this.trace.push({ name, operation, inputs });
      return;
    }
    const flag = this.#addFlag(name, operation, inputs);
    // Readers of the value wait for its flag. Otherwise onnxruntime computes the flags last and keeps all values until then.
    const value = this.#model.nameOf(name);
    this.#model.define(name, this.#model.write.node1('Where', [flag, value, value], `${name}/traced`));
  }

  /** x · 0 is NaN where x is not finite, and so is the sum of a tensor of it. */
  #addFlag(name: string, operation: string, inputs: readonly string[]): string {
    const { write } = this.#model;
    const zeros = write.node1('Mul', [this.#model.nameOf(name), this.#model.scalar(0)], `${name}/zeros`);
    const row = write.node1('Reshape', [zeros, write.int64s([-1])], `${name}/row`);
    const sum = write.node1('ReduceSum', [row], `${name}/sum`, { keepdims: 1 });
    const flag = write.node1('IsNaN', [sum], `${name}/not_finite`);
    this.trace.push({ name, operation, inputs, index: this.#flags.length });
    this.#flags.push(flag);
    return flag;
  }
}

/** Rounds a float32 value to float16; the result, still float32, gets a name. */
export function roundToFloat16({ write }: Pick<Translated, 'write'>, exact: string, name: string): void {
  const rounded = write.node1('Cast', [exact], `${name}/float16`, { to: dataTypes.f16 });
  write.node('Cast', [rounded], name, { to: dataTypes.f32 });
}

/** Finds the first non-finite value whose inputs are all finite: the source of the others. */
export function firstNonFinite(
  trace: readonly TracedValue[],
  flags: ArrayLike<number>,
): TracedValue | undefined {
  const tainted = new Set<string>();
  for (const value of trace) {
    const { name, operation, inputs, index } = value;
    const inherits = inputs.some((input) => tainted.has(input));
    const isTainted = index === undefined ? inherits : flags[index] === 1;
    if (isTainted && index !== undefined && !inherits && operation !== 'const') return value;
    if (isTainted) tainted.add(name);
  }
  return undefined;
}
