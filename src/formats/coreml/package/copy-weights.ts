import { streamBytes } from '../../../io/stream-bytes.ts';

import { milElement } from '../mil/mil-dtype.ts';
import type { MilModel } from '../mil/mil-model.ts';
import { operationValues, tensorElements, tensorTypeOf } from '../mil/mil-program.ts';
import type { Argument, BlobFileValue, Model, Operation, Value } from '../mil/mil-schema.ts';
import type { PackageContents } from './package.ts';
import { type Blob, WEIGHT_FILE_REFERENCE, WeightFileLayout } from './weight-file.ts';

/**
 * Takes weights over from one model into another without reading them: what lies in a weight file is streamed from
 * there when the new file is written, palettes and all, and never decoded.
 */

/** An ML Program and where its weights come from, be it just built or opened from a package. */
export interface MilSource {
  /** What to call it in an error: its path, or what it is. */
  readonly name: string;
  readonly model: Model;
  /** The blob that a value in a weight file is. */
  readonly blobOf: (value: Value, reference: BlobFileValue) => Blob;
}

/** A model that was built and is not written yet. */
export function builtSource(name: string, { model, weights }: PackageContents): MilSource {
  const blobs = new Map(weights.placed.map(({ blob, offset }) => [offset, blob]));
  return {
    name,
    model,
    blobOf(_value, { offset }) {
      const blob = blobs.get(offset);
      if (!blob) throw new Error(`${name} has no blob at ${offset}`);
      return blob;
    },
  };
}

/** A model that is open, and has to stay open until its weights are written. */
export function openedSource(opened: MilModel): MilSource {
  const { path, specificationVersion, description, program, weights } = opened;
  return {
    name: path,
    model: { specificationVersion, description, isUpdatable: false, mlProgram: program },
    blobOf(value, reference) {
      const { file, dtype, offset, byteLength } = weights.find(reference);
      const type = tensorTypeOf(value.type);
      const bits = type ? tensorElements(type) * milElement(type.dtype).bits : 0;
      return {
        name: `${file.name} from ${offset} on`,
        dtype,
        byteLength,
        paddingBits: byteLength * 8 - bits,
        stream: () => streamBytes(file, offset, byteLength),
      };
    },
  };
}

/**
 * Lays out a weight file for some operations of a model: each blob they refer to once, in the order in which they lay.
 * Gives the operations as they refer to it.
 */
export function copyWeights(
  operations: readonly Operation[],
  { blobOf }: MilSource,
): { readonly operations: readonly Operation[]; readonly weights: WeightFileLayout } {
  const weights = new WeightFileLayout();
  const offsets = new Map<string, number>();
  for (const { value, reference } of operations.flatMap(references).sort(byPlace)) {
    if (!offsets.has(keyOf(reference))) offsets.set(keyOf(reference), weights.add(blobOf(value, reference)));
  }
  const moved = (value: Value): Value => {
    const offset = value.blobFileValue && offsets.get(keyOf(value.blobFileValue));
    return offset === undefined
      ? value
      : { ...value, blobFileValue: { fileName: WEIGHT_FILE_REFERENCE, offset } };
  };
  const movedArgument = ({ arguments: bindings }: Argument): Argument => ({
    arguments: bindings.map((binding) => (binding.value ? { value: moved(binding.value) } : binding)),
  });
  // Most refer to no blob and stay the objects they are.
  const referring = operations.map((operation) =>
    references(operation).length === 0
      ? operation
      : {
          ...operation,
          attributes: mapValues(operation.attributes, moved),
          inputs: mapValues(operation.inputs, movedArgument),
        },
  );
  return { operations: referring, weights };
}

/** The most that a blob adds to a weight file: its record, its bytes and the gap before the next. */
export function storedSize({ byteLength }: Blob): number {
  return RECORD_BYTES + Math.ceil(byteLength / RECORD_BYTES) * RECORD_BYTES;
}

const RECORD_BYTES = 64;

interface Reference {
  readonly value: Value;
  readonly reference: BlobFileValue;
}

function references(operation: Operation): Reference[] {
  return [...operationValues(operation)].flatMap(([, value]) =>
    value.blobFileValue ? { value, reference: value.blobFileValue } : [],
  );
}

function byPlace({ reference: a }: Reference, { reference: b }: Reference): number {
  return a.fileName === b.fileName ? a.offset - b.offset : a.fileName < b.fileName ? -1 : 1;
}

function keyOf({ fileName, offset }: BlobFileValue): string {
  return `${offset} ${fileName}`;
}

function mapValues<T>(record: Readonly<Record<string, T>>, map: (value: T) => T): Record<string, T> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
}
