import { FEWEST_ELEMENTS, type QuantizationPlan, type WeightForm } from '../../../quantize/plan.ts';
import type { QuantizedWeight } from '../../../quantize/quantized-weight.ts';
import { elementCount } from '../../../weights/dtype.ts';
import { FEWEST_IN_FILE } from '../build/mil-writer.ts';
import { milElement } from '../mil/mil-dtype.ts';
import { MilNames } from '../mil/mil-names.ts';
import { iosOfOpset } from '../mil/mil-opset.ts';
import {
  blockConstants,
  immediateElements,
  parameterValue,
  programFunctions,
  tensorTypeOf,
} from '../mil/mil-program.ts';
import type { BlobFileValue, Block, MilFunction, Operation, Program, Value } from '../mil/mil-schema.ts';
import { tensorType } from '../mil/mil-value.ts';
import { copyWeights, type MilSource } from '../package/copy-weights.ts';
import type { PackageContents } from '../package/package.ts';
import type { Blob } from '../package/weight-file.ts';
import {
  type CompressedForm,
  compressedForm,
  type MilWeight,
  partSize,
  type StoredPart,
} from './compressed-forms.ts';

/** An ML Program with quantised weights, in the making. */
export interface QuantizedMil {
  /** The package with zeros for the few numbers that stand in the program itself (palettes of up to 8 entries): exact in everything but those. */
  readonly planned: PackageContents;
  /** The package as it is to be written, with these numbers read. Throws what reading the weights throws. */
  read(): Promise<PackageContents>;
  readonly weights: readonly QuantizedWeight[];
}

/**
 * Rewrites an ML Program so that the weights a plan names are quantised, under the names they had; weights that are
 * compressed already, and all else, stay byte for byte. No weight is read until `read`, or until the package is written.
 * Throws `RequestError` for forms that the program's version of iOS does not have.
 */
export function quantizeMil(source: MilSource, plan: QuantizationPlan): QuantizedMil {
  const { mlProgram: program } = source.model;
  if (!program) throw new Error(`${source.name} has no program`);
  const rewrite = new Rewrite(source);
  const functions = programFunctions(program).map(({ name, function: fn, block }) => ({
    name,
    fn,
    block,
    steps: rewrite.block(fn, block, plan),
  }));
  const contents = (values: PartValues): PackageContents => {
    const written = functions.map(({ steps }) => steps.flatMap((step) => step(values)));
    const { operations, weights } = copyWeights(written.flat(), rewrite.source);
    let taken = 0;
    const rewritten = functions.map(({ name, fn, block }, index): [string, MilFunction] => {
      const own = operations.slice(taken, taken + (written[index]?.length ?? 0));
      taken += own.length;
      return [name, withBlock(fn, { ...block, operations: own })];
    });
    const mlProgram: Program = { ...program, functions: Object.fromEntries(rewritten) };
    return { model: { ...source.model, mlProgram }, weights };
  };
  return {
    planned: contents((part) => new Uint8Array(partSize(part))),
    async read() {
      const bytes = new Map<StoredPart, Uint8Array>();
      for (const part of rewrite.inProgram) bytes.set(part, await readPart(part));
      return contents((part) => bytes.get(part) ?? new Uint8Array());
    },
    weights: rewrite.weights,
  };
}

/** The bytes of a part that stands in the program itself. */
type PartValues = (part: StoredPart) => Uint8Array;

/** Gives the operations that an operation becomes. */
type Step = (values: PartValues) => readonly Operation[];

/** Collects what a model's weights become. */
class Rewrite {
  readonly weights: QuantizedWeight[] = [];
  /** Parts that are too small for the weight file. */
  readonly inProgram: StoredPart[] = [];
  /** The model's weights and the parts of the quantised ones. */
  readonly source: MilSource;
  readonly #blobs = new Map<string, Blob>();
  readonly #given: MilSource;
  readonly #names = new MilNames();

  constructor(given: MilSource) {
    this.#given = given;
    this.source = {
      ...given,
      blobOf: (value, reference) => this.#blobs.get(keyOf(reference)) ?? given.blobOf(value, reference),
    };
  }

  block({ opset }: MilFunction, block: Block, plan: QuantizationPlan): Step[] {
    const roles = weightRoles(block);
    for (const { outputs } of block.operations) for (const { name } of outputs) this.#names.claim(name);
    return block.operations.map((operation) => {
      const weight = this.#weightOf(operation, roles);
      const form = weight && plan(weight);
      const compressed = form && compressedForm(weight, form, iosOfOpset(opset) ?? 0);
      return (compressed && this.#step(operation, weight, form, compressed)) ?? (() => [operation]);
    });
  }

  /** The weight that a `const` operation holds, if it can be quantised. */
  #weightOf({ type, outputs, attributes: { val } }: Operation, roles: Roles): MilWeight | undefined {
    const name = outputs[0]?.name ?? '';
    const role = roles.get(name);
    const tensor = tensorTypeOf(val?.type ?? null);
    const shape = tensor?.shape.filter((size) => size !== undefined) ?? [];
    if (type !== 'const' || !role || !val?.blobFileValue || shape.length < 2) return undefined;
    if ((tensor?.dtype !== 'fp16' && tensor?.dtype !== 'fp32') || elementCount(shape) <= FEWEST_ELEMENTS)
      return undefined;
    const blob = this.#given.blobOf(val, val.blobFileValue);
    const stored = { name, dtype: tensor.dtype === 'fp16' ? 'f16' : 'f32', shape } as const;
    return {
      name,
      shape,
      outputAxis: role.output(shape.length),
      inputAxis: role.input(shape.length),
      dtype: tensor.dtype,
      tensor: { ...stored, stream: () => blob.stream() },
      claim: (wish) => this.#names.claim(wish),
    };
  }

  /** What stands for a weight; `undefined` where it would not be smaller. */
  #step(
    { attributes: { val } }: Operation,
    { name, shape, dtype }: MilWeight,
    form: WeightForm,
    { parts, operations, error }: CompressedForm,
  ): Step | undefined {
    const sizes = Object.values(parts).map(partSize);
    const bytesAfter = sizes.reduce((sum, size) => sum + size, 0);
    const bytesBefore = (elementCount(shape) * milElement(dtype).bits) / 8;
    if (bytesAfter >= bytesBefore || !val?.blobFileValue) return undefined;
    this.weights.push({ name, shape, form, bytesBefore, bytesAfter, error });
    const places = new Map<string, BlobFileValue>();
    for (const [key, part] of Object.entries(parts)) {
      if (elementCount(part.shape) >= FEWEST_IN_FILE)
        places.set(key, this.#place(val.blobFileValue, `${name}, ${key}`, part));
      else this.inProgram.push(part);
    }
    return (values) =>
      operations((key) => {
        const part = parts[key];
        if (!part) throw new Error(`${name} has no ${key}`);
        const place = places.get(key);
        return place
          ? { docString: '', type: tensorType(part.dtype, part.shape), blobFileValue: place }
          : immediateBytes(part, values(part));
      });
  }

  /** A place for a part behind what it stands for: blobs begin at multiples of 64, so those between are free to name it. */
  #place({ fileName, offset }: BlobFileValue, name: string, part: StoredPart): BlobFileValue {
    const place = { fileName, offset: offset + 1 };
    while (this.#blobs.has(keyOf(place))) place.offset++;
    const byteLength = partSize(part);
    const { dtype, shape, stream } = part;
    const paddingBits = byteLength * 8 - elementCount(shape) * milElement(dtype).bits;
    this.#blobs.set(keyOf(place), { name, dtype, byteLength, paddingBits, stream });
    return place;
  }
}

/** The axes of a layer's weight, of so many. */
interface Role {
  output(rank: number): number;
  input(rank: number): number;
}

type Roles = ReadonlyMap<string, Role>;

/** What each value is to the layers that read it, if it is a weight to all of them. */
function weightRoles(block: Block): Roles {
  const constants = blockConstants(block);
  const roles = new Map<string, Role>();
  const others = new Set(block.outputs);
  for (const operation of block.operations) {
    for (const [parameter, { arguments: bindings }] of Object.entries(operation.inputs)) {
      for (const { name } of bindings) {
        if (name === undefined) continue;
        const role = roleOf(operation, parameter, constants);
        if (role) roles.set(name, role);
        else others.add(name);
      }
    }
  }
  for (const name of others) roles.delete(name);
  return roles;
}

function roleOf(
  operation: Operation,
  parameter: string,
  constants: ReadonlyMap<string, Value>,
): Role | undefined {
  const isSwapped = (flag: string): boolean => {
    const value = parameterValue(operation, flag, constants);
    return value !== undefined && immediateElements(value)?.[0] === true;
  };
  switch (`${operation.type} ${parameter}`) {
    case 'conv weight':
    case 'linear weight':
      return { output: () => 0, input: () => 1 };
    case 'conv_transpose weight':
      return { output: () => 1, input: () => 0 };
    case 'matmul x':
      return isSwapped('transpose_x') ? fromEnd(1, 2) : fromEnd(2, 1);
    case 'matmul y':
      return isSwapped('transpose_y') ? fromEnd(2, 1) : fromEnd(1, 2);
    default:
      return undefined;
  }
}

function fromEnd(output: number, input: number): Role {
  return { output: (rank) => rank - output, input: (rank) => rank - input };
}

function immediateBytes({ dtype, shape }: StoredPart, bytes: Uint8Array): Value {
  const tensor =
    dtype === 'fp32'
      ? { floats: { values: Array.from(new Float32Array(bytes.slice().buffer)) } }
      : { bytes: { values: bytes } };
  return { docString: '', type: tensorType(dtype, shape), immediateValue: { tensor } };
}

async function readPart(part: StoredPart): Promise<Uint8Array> {
  const bytes = new Uint8Array(partSize(part));
  let filled = 0;
  for await (const block of part.stream()) {
    bytes.set(block, filled);
    filled += block.length;
  }
  return bytes;
}

function withBlock(fn: MilFunction, block: Block): MilFunction {
  return { ...fn, block_specializations: { ...fn.block_specializations, [fn.opset]: block } };
}

function keyOf({ fileName, offset }: BlobFileValue): string {
  return `${offset} ${fileName}`;
}
